/** A service, and the requests to it. */

import { ResponseError } from './errors.js';
import { emit } from './events.js';
import { Resource } from './resource.js';
import { MemoryStore } from './stores.js';

/** A service, and where its records are kept; tells `progress`, `waiting` and `alert`. */
export class Client extends EventTarget {
  server;
  #hello;
  #notBefore = 0;
  #ended;

  constructor({ server, ...options }) {
    super();
    Object.assign(this, {
      server: server.replace(/\/+$/, ''),
      store: new MemoryStore(),
      auth: () => ({}),
      retries: 4,
      delay: 1000, // before the first retry, in milliseconds
      fetch: (...request) => fetch(...request),
      locks: globalThis.navigator?.locks,
      ...options,
    });
  }

  resource(path) {
    return new Resource(this, path);
  }

  /** What the service says of itself, asked once. */
  async hello(options = {}) {
    this.#hello ??= await this.#request(`${this.server}/`, options);
    return this.#hello.body;
  }

  /** The answer of a success, or 304; a request that is not patient fails rather than wait. */
  async request(method, path, { headers, body, ...options } = {}) {
    await this.hello(options);
    const type = body && { 'Content-Type': 'application/json' };
    return this.#request(this.#hello.url.replace(/\/+$/, '') + path, {
      ...options,
      method,
      headers: { ...headers, ...type, ...(await this.auth()) },
      body: JSON.stringify(body),
    });
  }

  async #request(url, { patient = true, ...options }) {
    const { signal } = options;
    for (let attempt = 0; ; attempt++) {
      await this.#allowed(patient, signal);
      try {
        return await this.#fetch(url, options);
      } catch (error) {
        const isFinal = error.status <= 500 && error.status !== 429; // without a status, nothing was answered
        if (!patient || isFinal || signal?.aborted || attempt >= this.retries) throw error;
        // Not all clients at the same moment.
        await sleep(this.delay * 2 ** attempt * (0.5 + Math.random()), signal);
      }
    }
  }

  /** Wait until the server wants requests. */
  async #allowed(patient, signal) {
    signal?.throwIfAborted();
    if (this.#ended) throw this.#ended;
    const time = this.#notBefore - Date.now();
    if (time <= 0) return;
    if (!patient) throw new Error('The server is busy');
    emit(this, 'waiting', { seconds: time / 1000 });
    await sleep(time, signal);
  }

  async #fetch(url, options) {
    const response = await this.fetch(url, { ...options, cache: 'no-store' });
    const { status, headers } = response;
    this.#heed(headers);
    const body = /json/.test(headers.get('Content-Type')) ? JSON.parse((await response.text()) || 'null') : null;
    // What isn't JSON comes from somebody else, such as the page to log in of a network.
    if (status === 304 || (response.ok && body)) return { status, headers, body, url: response.url };
    const error = new ResponseError({ status, body });
    if (status === 410) this.#ended = error;
    throw error;
  }

  /** Do as the headers of the protocol ask. */
  #heed(headers) {
    for (const name of ['Backoff', 'Retry-After']) {
      const value = headers.get(name);
      const time = Date.now() + Number(value) * 1000 || Date.parse(value);
      this.#notBefore = Math.max(this.#notBefore, time || 0);
    }
    const alert = headers.get('Alert');
    try {
      if (alert) emit(this, 'alert', JSON.parse(alert));
    } catch {} // somebody else's
  }
}

/** Wait for some milliseconds, or fail when a signal aborts it. */
function sleep(time, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, time);
    signal?.addEventListener('abort', end);
  });
}

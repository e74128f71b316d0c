/** A service, and the requests to it. */

import { isTemporary, ResponseError } from './errors.js';
import { Resource } from './resource.js';
import { MemoryStore } from './memory.js';
import { sleep } from './timers.js';
import { same } from './values.js';

const LONGEST_WAIT = 24 * 60 * 60 * 1000; // of what a server can ask for; timers can't be longer than 24 days

/** One spelling of a URL, without a slash at its end. */
const normalized = (url) => new URL(url, globalThis.location?.href).href.replace(/\/*([?#].*)?$/, '');

/** The records that were not sent, then the latest ones. */
function latest(records, { filters, sort, limit }) {
  if (filters || sort) throw new TypeError('Needs the option query');
  return records.sort((a, b) => (b.last_modified ?? Infinity) - (a.last_modified ?? Infinity)).slice(0, limit);
}

const isStream = (type) => /event-stream/.test(type);

/** The requested stream of a response, or its JSON; null for other content, such as a network's login page. */
async function bodyOf({ headers, body, ok }, signal, canStream) {
  const type = headers.get('Content-Type');
  // Node.js can lose the signal of a response when it collects garbage.
  const stream = body?.pipeThrough(new TransformStream(), { signal });
  if (ok && canStream && isStream(type)) return stream;
  return /json/.test(type) ? JSON.parse((await new Response(stream).text()) || null) : null;
}

/** A service and the local copies of its records; dispatches the events of cliquet.d.ts. */
export class Client extends EventTarget {
  _resources = { __proto__: null };
  _end = new AbortController();
  _notBefore = 0; // in the time of performance.now()

  constructor({ server, user = '', ...options }) {
    super();
    Object.assign(this, {
      retries: 4,
      delay: 1000, // before the first retry, in milliseconds
      timeout: 60_000, // of each attempt, in milliseconds
      fetch: (...request) => fetch(...request),
      locks: globalThis.navigator?.locks,
      store: new MemoryStore(),
      query: latest,
      ...options,
    });
    this.server = normalized(server);
    // With and without the version in its URL, it is the same service.
    this._scope = `${encodeURIComponent(user)}@${this.server.replace(/\/v\d+$/, '')}/`;
  }

  resource(path) {
    this._end.signal.throwIfAborted();
    const normal = path.replace(/^\/+|\/+$/g, '');
    const isValid = normal && new URL(normal, 'http://a').pathname === `/${normal}` && !/\||\/\//.test(normal);
    if (!isValid) throw new TypeError(`Invalid path ${path}`);
    return (this._resources[normal] ??= new Resource(this, `/${normal}`));
  }

  /** The description of the service, requested once. */
  async hello(options) {
    return (await this._describe(options)).body;
  }

  /** The response to a request if it is a success or 304. A request that isn't patient fails rather than wait. */
  async request(method, path, { headers, body, ...options } = {}) {
    return this._request((await this._describe(options)).url + path, {
      ...options,
      method,
      headers: { ...headers, ...(body && { 'Content-Type': 'application/json' }) },
      body: JSON.stringify(body),
      redirect: 'error', // the credentials are not for where it leads
      _hasAuth: true,
    });
  }

  /** Abort all requests, end automatic synchronization and close the store. */
  async close() {
    this._end.abort();
    for (const resource of Object.values(this._resources)) resource.close();
    await this.store.close?.();
  }

  /** Remove the records of this service and user from the store, with the changes that were not sent, and close it. */
  async destroy() {
    this._end.abort();
    await this.store.write((await this.store.getAll([this._scope])).map(([key]) => [key]));
    await this.close();
  }

  /** A signal that is aborted with another, or when the client is closed. */
  _signal(other) {
    return AbortSignal.any([this._end.signal, other].filter(Boolean));
  }

  _emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  async _describe(options = {}) {
    if (!this._hello) {
      const { body, url } = await this._request(`${this.server}/`, options);
      const base = normalized(url || this.server);
      // A page to log in of a network, or another service, to which no credentials should go.
      if (!body.settings || new URL(base).origin !== new URL(this.server).origin) {
        throw new Error(`Not a Cliquet service: ${base}`);
      }
      this._hello = { body, url: base };
    }
    return this._hello;
  }

  async _request(url, { _patient = true, signal: given, _hasAuth, ...options }) {
    const signal = this._signal(given);
    let refused;
    let credentials;
    for (let attempt = 0; ; attempt++) {
      await this._allowed(_patient, signal);
      const previous = credentials;
      credentials = _hasAuth && (await this.auth?.(refused));
      if (refused && same(credentials, previous)) throw refused;
      try {
        return await this._fetch(url, { ...options, headers: { ...options.headers, ...credentials }, signal });
      } catch (error) {
        signal.throwIfAborted();
        // Once, credentials may have expired. Without a status, nothing was received.
        if (error.status === 401 && !refused) refused = error;
        else if (!_patient || attempt >= this.retries || (error.status && !isTemporary(error.status))) throw error;
        // Not all clients at the same moment.
        else await sleep(this.delay * 2 ** attempt * (0.5 + Math.random()), signal);
      }
    }
  }

  /** Wait until the server wants requests. */
  async _allowed(_patient, signal) {
    signal.throwIfAborted();
    if (this._ended) throw this._ended;
    const time = this._notBefore - performance.now();
    if (time <= 0) return;
    if (!_patient) throw new Error('Server busy');
    this._emit('waiting', { seconds: time / 1000 });
    await sleep(time, signal);
  }

  async _fetch(url, options) {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(new DOMException('Timeout', 'TimeoutError')), this.timeout);
    const signal = AbortSignal.any([options.signal, limit.signal]);
    try {
      const response = await this.fetch(url, { ...options, signal, cache: 'no-store' });
      this._heed(response.headers);
      return this._check(response, await bodyOf(response, signal, isStream(Object.values(options.headers))));
    } catch (error) {
      limit.abort(); // stop reading the body
      throw error;
    } finally {
      clearTimeout(timer); // streams last longer
    }
  }

  _check({ status, headers, url, ok }, body) {
    const refused = body?.responses?.find?.((response) => response.status === 401); // in a batch
    if (status === 304 || (ok && body && !refused)) return { status, body, headers, url };
    const error = new ResponseError(refused ?? { status, body });
    if (status === 410 && body?.errno === 202) this._ended = error;
    throw error;
  }

  /** Do as the headers of the protocol ask. */
  _heed(headers) {
    const now = Date.parse(headers.get('Date')) || Date.now(); // the clock of the server, even if it is wrong
    for (const name of ['Backoff', 'Retry-After']) {
      const value = headers.get(name);
      const time = Math.min(value * 1000 || Date.parse(value) - now || 0, LONGEST_WAIT);
      this._notBefore = Math.max(this._notBefore, performance.now() + time);
    }
    try {
      this._emit('alert', JSON.parse(headers.get('Alert') ?? ''));
    } catch {} // none, or something else's
  }
}

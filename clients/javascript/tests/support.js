/** Servers, users, and pages that can be closed at any time, for all tests. */

import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Client, MemoryStore } from '../cliquet.js';
import { live } from '../live.js';
import { query } from '../query.js';

/** The example application by engine, from run.py. */
export const SERVERS = JSON.parse(process.env.CLIQUET_SERVERS ?? '{}');
if (!Object.keys(SERVERS).length) throw new Error('Run the tests with run.py, which starts the servers.');

export const newUser = () => basic(randomUUID());
export const basic = (user, password = 'secret') => ({ Authorization: `Basic ${btoa(`${user}:${password}`)}` });

/** A client that gives up at once. */
export function clientOf(server, user, options) {
  const usual = { retries: 0, locks: null, store: new MemoryStore(), query, live };
  return new Client({ server, auth: () => user, ...usual, ...options });
}

/** The keys of the items in a store. */
export const keysOf = async (store, prefix = '') => (await store.getAll([prefix])).map(([key]) => key);

/** All records that match, by the server. */
export async function recordsOf(server, user, path, query = '_limit=') {
  const response = await fetch(`${server}/v1${path}?${query}`, { headers: user });
  const { data: records = [] } = await response.json(); // none are shared with a user who is refused
  for (let next = response.headers.get('Next-Page'); next;) {
    const page = await fetch(next, { headers: user });
    records.push(...(await page.json()).data);
    next = page.headers.get('Next-Page');
  }
  return records;
}

/** Call methods of the backends, each given as `[backend, method, arguments, named arguments]`. */
export async function operate(server, user, ...calls) {
  const body = JSON.stringify(calls.map(([backend, method, args, named = {}]) => [backend, method, args, named]));
  const headers = { ...user, 'Content-Type': 'application/json' };
  const response = await fetch(`${server}/v1/operations`, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()).results;
}

/** The id of a user, by the server. */
export const userIdOf = async (server, user) =>
  (await (await fetch(`${server}/v1/`, { headers: user })).json()).user.id;

/** Numbers that a seed determines (mulberry32). */
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed;
  }

  /** From 0, below 1. */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  chance(probability) {
    return this.next() < probability;
  }

  below(limit) {
    return Math.floor(this.next() * limit);
  }

  pick(list) {
    return list[this.below(list.length)];
  }
}

/** The locks of a browser, that its pages share; those of a page that is closed are let go. */
export class Locks {
  #tail = Promise.resolve();

  of(page) {
    return {
      request: async (name, options, action) => {
        const previous = this.#tail;
        let release;
        this.#tail = new Promise((resolve) => (release = resolve));
        await previous;
        try {
          return await Promise.race([action(), page.closed]);
        } finally {
          release();
        }
      },
    };
  }
}

setFlagsFromString('--expose-gc');
/** Collect garbage now. */
export const collectGarbage = runInNewContext('gc');

export const NEVER = new Promise(() => {});

/** A page that is closed when it has used the store and the network so many times. */
export class Page {
  #left = Infinity;
  #random;
  #send;
  #close;
  #begun = [];
  isClosed = false;
  failureRate = 0; // of requests

  constructor(server, user, { store, locks, random, fetch = globalThis.fetch, ...options }) {
    this.#send = fetch;
    this.#random = random;
    this.closed = new Promise((resolve) => (this.#close = resolve));
    const operations = ['getAll', 'write'];
    this.client = new Client({
      server: `${server}/v1`,
      auth: () => user,
      live,
      delay: 1,
      retries: 1,
      store: Object.fromEntries(operations.map((name) => [name, (...args) => this.#use(() => store[name](...args))])),
      fetch: (...args) => this.#use(() => this.#fetch(...args)),
      locks: locks?.of(this),
      ...options,
    });
    this.bookmarks = this.client.resource('/bookmarks');
    this.articles = this.client.resource('/articles');
  }

  /** Follow the bookmarks until the page is closed. */
  follow() {
    this.bookmarks.live(() => {}, { interval: 50 });
  }

  closeAfter(operations) {
    this.#left = operations;
  }

  /** Return the result of an action; undefined if the page is closed before, or it fails. */
  async attempt(action) {
    return Promise.race([action(this.bookmarks), this.closed]);
  }

  async #use(operation) {
    if (this.isClosed) return NEVER;
    this.#left--;
    if (this.#left > 0) return this.#begin(operation);
    this.isClosed = true;
    if (this.#random.chance(0.5)) this.#begin(operation); // done, and never known to be
    await Promise.allSettled(this.#begun);
    await this.client.close();
    this.#close();
    return NEVER;
  }

  #begin(operation) {
    const result = operation();
    this.#begun.push(result);
    return result;
  }

  /** Close the page now. */
  close() {
    this.isClosed = true;
    this.#close();
    return this.client.close();
  }

  async #fetch(url, options) {
    const fails = () => this.failureRate > 0 && this.#random.chance(this.failureRate);
    if (fails()) throw new TypeError('the request is lost');
    const response = await this.#send(url, options);
    if (fails()) {
      await response.body?.cancel(); // streams have no end
      throw new TypeError('the response is lost');
    }
    return response;
  }
}

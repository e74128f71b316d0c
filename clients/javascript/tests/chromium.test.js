/** The store in IndexedDB, and windows that share it, in Chromium. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeInChromium } from './browser.js';
import { Replica, runAll } from './history.js';
import { NEVER, SERVERS } from './support.js';

const HISTORIES = Number(process.env.CHROMIUM_HISTORIES ?? 2);

/** Define `call()` in a page, which evaluates the source of this function. */
async function prepare({ server, user, isLive }, conflict) {
  const { Client } = await import('/cliquet.js');
  const { IndexedDBStore } = await import('/indexeddb.js');
  const { live } = await import('/live.js');
  const store = new IndexedDBStore();
  const lose = (what) => {
    if (Math.random() < globalThis.failureRate) throw new TypeError(`the ${what} is lost`);
  };
  const client = new Client({
    server: `${server}/v1`,
    auth: () => user,
    conflict,
    live,
    store,
    delay: 1,
    retries: 1,
    async fetch(...request) {
      lose('request');
      const response = await fetch(...request);
      lose('response');
      return response;
    },
  });
  const bookmarks = client.resource('/bookmarks');
  if (isLive) bookmarks.live(() => {}, { interval: 50 });
  const keys = async () => (await store.getAll([''])).map(([key]) => key);
  globalThis.call = async (name, operands, failureRate) => {
    globalThis.failureRate = failureRate;
    try {
      return { result: await (name === 'keys' ? keys() : bookmarks[name](...operands)) };
    } catch ({ name, message }) {
      return { name, message };
    }
  };
}

/** A window of a browser, with the methods that histories call. */
class Window {
  isClosed = false;
  failureRate = 0;

  constructor(context, options, conflict) {
    this.closed = new Promise((resolve) => (this.resolveClosed = resolve));
    this.bookmarks = new Proxy(
      {},
      {
        get:
          (_, name) =>
          (...operands) =>
            this.call(name, operands),
      },
    );
    const source = typeof conflict === 'function' ? conflict : JSON.stringify(conflict);
    this.opened = (async () => {
      const page = await (await context).newPage();
      await page.goto(`${options.server}/cliquet.js`); // any page of this origin
      await page.evaluate(`(${prepare})(${JSON.stringify(options)}, ${source})`);
      return page;
    })();
  }

  async call(method, operands = []) {
    try {
      const page = await this.opened;
      const call = ([...all]) => globalThis.call(...all);
      const { result, name, message } = await page.evaluate(call, [method, operands, this.failureRate]);
      if (!name) return result;
      throw Object.assign(name === 'TypeError' ? new TypeError(message) : new Error(message), { name });
    } catch (error) {
      if (this.isClosed) return NEVER;
      throw error;
    }
  }

  attempt(action) {
    return Promise.race([action(), this.closed]);
  }

  /** Close the window after some milliseconds, even during an operation. */
  closeAfter(time) {
    this.timer = setTimeout(() => this.close(), time);
  }

  async close() {
    clearTimeout(this.timer);
    if (this.isClosed) return;
    this.isClosed = true;
    this.resolveClosed();
    await (await this.opened).close();
  }
}

describeInChromium('in Chromium', { timeout: 60_000 * (HISTORIES + 2) }, (newContext) => {
  const server = SERVERS.sqlite;

  /** Open an empty page of the server, in its own browser context. */
  async function open(t) {
    const context = await newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    await page.goto(`${server}/cliquet.js`);
    return { context, page };
  }

  test('a store opens its database again when the browser has closed it', async (t) => {
    const { context, page } = await open(t);
    await page.evaluate(async () => {
      const { IndexedDBStore } = await import('/indexeddb.js');
      window.store = new IndexedDBStore('tested');
      await window.store.write([['before', 1]]);
      const request = indexedDB.open('tested');
      await new Promise((resolve) => (request.onsuccess = resolve));
      globalThis.closed = new Promise((resolve) => (request.result.onclose = resolve));
    });
    const session = await context.newCDPSession(page);
    await session.send('Storage.clearDataForOrigin', { origin: server, storageTypes: 'indexeddb' });
    const items = await page.evaluate(async () => {
      await closed;
      for (let tries = 50; ; tries--) {
        // Chromium also closes a database that is opened while it removes the data.
        try {
          await window.store.write([['after', 2]]);
          return await window.store.getAll(['']);
        } catch (error) {
          if (!tries) throw error;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    });
    assert.deepEqual(items, [['after', 2]]);
  });

  test('all operations of a store end when the browser closes its database', async (t) => {
    const { context, page } = await open(t);
    await page.evaluate(async () => {
      const { IndexedDBStore } = await import('/indexeddb.js');
      const store = new IndexedDBStore('tested');
      window.ended = 0;
      const work = async () => {
        for (;;) {
          await store.write([['key', 1]]).catch(() => {});
          window.ended++;
          await new Promise((resolve) => setTimeout(resolve));
        }
      };
      for (let i = 0; i < 5; i++) work();
    });
    const session = await context.newCDPSession(page);
    for (let i = 0; i < 5; i++) {
      await session.send('Storage.clearDataForOrigin', { origin: server, storageTypes: 'indexeddb' });
      const count = await page.evaluate(() => window.ended);
      await page.waitForFunction((before) => window.ended > before + 20, count);
    }
  });

  test('a store lets others delete its database, and reads what they write at once', async (t) => {
    const { page } = await open(t);
    const results = await page.evaluate(async () => {
      const { IndexedDBStore } = await import('/indexeddb.js');
      const [one, other] = [new IndexedDBStore('tested'), new IndexedDBStore('tested')];
      const results = [
        await one.write([
          ['a|1', 1],
          ['a|2', null],
          ['b|3', {}],
        ]),
      ];
      results.push(await other.getAll(['b|', 'a|1']));
      results.push(await other.write([['a|1'], ['missing'], ['new', 1]]), await one.getAll(['a|']));
      results.push(await other.write([['a|1'], ['a|1', 2]]), await one.getAll(['a|1']));
      await new Promise((resolve, reject) => {
        const request = indexedDB.deleteDatabase('tested');
        Object.assign(request, { onsuccess: resolve, onblocked: reject });
      });
      results.push(await one.getAll(['']));
      return results;
    });
    assert.deepEqual(results, [
      true,
      [
        ['b|3', {}],
        ['a|1', 1],
      ],
      false,
      [
        ['a|1', 1],
        ['a|2', null],
      ],
      true,
      [['a|1', 2]],
      [],
    ]);
  });

  /** A browser with two windows on one list. */
  class BrowserReplica extends Replica {
    locks = true; // those of Chromium

    open() {
      this.context ??= newContext();
      const { server, user, strategy } = this.history;
      return new Window(this.context, { server, user, isLive: this.isLive }, strategy);
    }

    keys() {
      return this.last.call('keys');
    }

    async close() {
      await super.close();
      await (await this.context).close();
    }
  }

  test('windows and server agree after any history', () => runAll(HISTORIES, server, { Replica: BrowserReplica }));
});

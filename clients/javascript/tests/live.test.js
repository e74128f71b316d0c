/** Streams of changes, from a server that restarts and over connections that fail. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';
import { MemoryStore } from '../cliquet.js';
import { Gate } from './gate.js';
import { clientOf, collectGarbage, newUser, operate, recordsOf, SERVERS, userIdOf } from './support.js';

const { sqlite: SERVER, postgresql: WSGI } = SERVERS;
const URL_ = 'https://www.example.com/';

/** Wait until a function returns a true value. */
async function until(holds) {
  for (;;) {
    const value = await holds();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A device that follows the bookmarks of a user, and the requests that it sends. */
async function following(t, { server = SERVER, user = newUser(), options, ...live } = {}) {
  const requests = [];
  const counting = (url, given) => {
    if (!url.endsWith('/v1/')) requests.push(/event-stream/.test(given.headers?.Accept) ? 'stream' : given.method);
    return fetch(url, given);
  };
  const client = clientOf(`${server}/v1`, user, { fetch: counting, delay: 10, ...options });
  const bookmarks = client.resource('/bookmarks');
  const [results, errors, changes] = [[], [], []];
  client.addEventListener('sync', ({ detail }) => results.push({ ...detail }));
  client.addEventListener('error', ({ detail }) => errors.push(detail.error));
  const stop = bookmarks.live((change) => changes.push(change), { interval: 60_000, ...live });
  t.after(() => client.close());
  const has = (title) => until(async () => (await bookmarks.list()).some((record) => record.title === title));
  return { user, client, bookmarks, requests, results, errors, changes, stop, has };
}

const other = (user) => clientOf(`${SERVER}/v1`, user).resource('/bookmarks');

/** Create a record on another device. */
async function createElsewhere(user, title) {
  const bookmarks = other(user);
  await bookmarks.create({ url: URL_ + encodeURIComponent(title), title });
  await bookmarks.sync();
}

test('changes elsewhere arrive without polls, and are verified', { timeout: 60_000 }, async (t) => {
  const { user, requests, results, has, bookmarks, changes, errors } = await following(t);
  await until(() => results.length > 1);
  requests.length = 0;
  await createElsewhere(user, 'one');
  await has('one');
  const two = 'two\u2028\u2029\u0085\r\n';
  await createElsewhere(user, two);
  await has(two);
  await until(() => results.at(-1).verified && results.at(-1).pulled === 1);
  assert.deepEqual(requests, []);
  assert.deepEqual(errors, []);
  assert.deepEqual(
    changes.map(({ record, origin }) => [record.title, origin]),
    [
      ['one', 'server'],
      [two, 'server'],
    ],
  );
  const device = other(user);
  await device.sync();
  const [{ id }] = await device.list();
  await device.delete(id);
  await device.sync();
  await until(async () => (await bookmarks.list()).length === 1);
  assert.deepEqual(requests, []);
});

test('more changes than fit on a page arrive too', { timeout: 60_000 }, async (t) => {
  const { user, results, bookmarks } = await following(t);
  await until(() => results.length > 1);
  const records = Array.from({ length: 9 }, (_, n) => ({ url: `${URL_}${n}`, title: `${n}`, device: '', id: `x${n}` }));
  const place = ['bookmark', await userIdOf(SERVER, user)];
  await operate(SERVER, user, ...records.map((record) => ['storage', 'create', [...place, record]]));
  await until(async () => (await bookmarks.list()).length === 9 && results.at(-1).verified);
});

test('local changes are sent immediately', { timeout: 60_000 }, async (t) => {
  const { user, bookmarks, stop, changes } = await following(t);
  await bookmarks.create({ url: URL_, title: 'here' });
  await until(async () => (await recordsOf(SERVER, user, '/bookmarks')).length);
  await until(() => changes.some(({ origin }) => origin === 'server'));
  stop();
  await bookmarks.create({ url: `${URL_}2`, title: 'later' });
  const { length } = changes;
  await createElsewhere(user, 'unheard');
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(changes.length, length);
  assert.equal((await bookmarks.pending()).length, 1);
});

test('a stream continues after a restart of the server', { timeout: 60_000 }, async (t) => {
  const gate = new Gate(SERVER);
  await gate.open();
  t.after(() => gate.shut());
  const { user, results, has, requests } = await following(t, { server: gate.url, interval: 50 });
  await until(() => results.length > 1);
  await gate.shut();
  await createElsewhere(user, 'meanwhile');
  await gate.open(gate.port);
  await has('meanwhile');
  await until(() => requests.filter((kind) => kind === 'stream').length > 1);
  await createElsewhere(user, 'afterwards');
  await has('afterwards');
  await until(() => results.at(-1).verified);
});

test('a stream that is cut in the middle of an event continues before it', { timeout: 60_000 }, async (t) => {
  const gate = new Gate(SERVER);
  await gate.open();
  t.after(() => gate.shut());
  const { user, results, has, requests, errors } = await following(t, { server: gate.url });
  await until(() => results.length > 1);
  let cut = false;
  gate.change = (chunk) => {
    if (cut || !chunk.includes('event: change')) return chunk;
    cut = true;
    return chunk.subarray(0, chunk.length / 2);
  };
  await createElsewhere(user, 'cut');
  await has('cut');
  assert.ok(cut);
  assert.equal(requests.filter((kind) => kind === 'stream').length, 2);
  assert.deepEqual(errors, []);
});

test('a service that cannot stream changes is polled', { timeout: 60_000 }, async (t) => {
  const { user, requests, has, errors } = await following(t, { server: WSGI, interval: 30 });
  const there = clientOf(`${WSGI}/v1`, user).resource('/bookmarks');
  await there.create({ url: URL_, title: 'polled' });
  await there.sync();
  await has('polled');
  assert.ok(!requests.includes('stream'));
  assert.deepEqual(errors, []);
});

/** A service whose responses a test determines: `[status, headers, events]` for each stream, whose end is a null. */
async function streaming(t, streams, options) {
  const requests = [];
  const service = createServer((request, response) => {
    const { url, headers } = request;
    const isStream = headers.accept === 'text/event-stream';
    requests.push({ url, headers, isStream, socket: request.socket });
    const [status, other, events] = isStream ? (streams.shift() ?? [200, {}, []]) : [200, {}, null];
    const type = events ? 'text/event-stream' : 'application/json';
    response.writeHead(status, { 'Content-Type': type, ETag: '"5"', 'Total-Records': 0, Checksum: '0-0-0', ...other });
    if (events) for (const text of events) text === null ? response.end() : response.write(text);
    else if (url === '/') response.end('{"settings": {}, "capabilities": {"live": {}}}');
    else response.end(status === 200 ? '{"data": []}' : JSON.stringify({ errno: 104 }));
  });
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  t.after(() => service.close(service.closeAllConnections()));
  const server = `http://127.0.0.1:${service.address().port}`;
  const client = clientOf(server, {}, { delay: 1, ...options });
  t.after(() => client.close());
  const [results, errors, alerts] = [[], [], []];
  client.addEventListener('sync', ({ detail }) => results.push(detail));
  client.addEventListener('error', ({ detail }) => errors.push(detail.error));
  client.addEventListener('alert', ({ detail }) => alerts.push(detail));
  const opened = () => requests.filter(({ isStream }) => isStream);
  return { client, articles: client.resource('/articles'), requests, opened, results, errors, alerts };
}

const change = (id, records, checksum) =>
  `event: change\nid: "${id}"\ndata: ${JSON.stringify({ data: records, checksum })}\n\n`;
const FIRST = change(5, [], '0-0-0');
const RETRY = 'retry: 1\n\n';

describe('a stream', () => {
  test('is read in chunks of any size, with comments and any line endings', { timeout: 60_000 }, async (t) => {
    const record = { id: 'é', last_modified: 6, title: 'a\nb' };
    const text = `:\n\nevent: alert\ndata: {"code":\ndata: "x"}\n\n${change(6, [record], '1-6-216')}`;
    const chunks = [...Buffer.from(text.replaceAll('\n', '\r\n'))].map((byte) => Buffer.from([byte]));
    const { articles, alerts, results } = await streaming(t, [[200, {}, [FIRST, ...chunks]]]);
    articles.live(() => {});
    await until(() => results.at(-1)?.pulled);
    assert.equal(results.at(-1).verified, true);
    assert.deepEqual(await articles.list(), [record]);
    assert.deepEqual(alerts, [{ code: 'x' }]);
  });

  test('that sends nothing for some time is opened again, where it stopped', { timeout: 60_000 }, async (t) => {
    const stalled = [200, {}, [change(7, [], '0-0-0'), RETRY]];
    const { articles, opened, errors } = await streaming(t, [stalled]);
    articles.live(() => {}, { idle: 30 });
    await until(() => opened().length > 1);
    assert.deepEqual(
      opened().map(({ url }) => decodeURIComponent(url)),
      ['/articles?_since="5"', '/articles?_since="7"'],
    );
    assert.deepEqual(errors, []);
    await until(() => opened()[0].socket.destroyed);
  });

  test('whose credentials have expired is opened with new ones', { timeout: 60_000 }, async (t) => {
    const tokens = [];
    const auth = (refused) => (refused && tokens.push(refused.status), { Authorization: `Bearer ${tokens.length}` });
    const reset = [200, {}, [FIRST, 'event: reset\ndata: {}\nretry: 1\n\n', null]];
    const { articles, opened, errors, requests } = await streaming(t, [reset, [401, {}]], { auth });
    articles.live(() => {});
    await until(() => opened().length > 2);
    assert.deepEqual(tokens, [401]);
    assert.equal(opened().at(-1).headers.authorization, 'Bearer 1');
    assert.deepEqual(errors, []);
    // After the reset, the list is read, in case the user may read nothing any longer.
    assert.ok(requests.filter(({ url, isStream }) => url.includes('_sort') && !isStream).length > 1);
  });

  for (const status of [403, 406]) {
    test(`that is refused with ${status} is replaced by polls`, { timeout: 60_000 }, async (t) => {
      const refusals = Array.from({ length: 99 }, () => [status, {}]);
      const { articles, results, errors } = await streaming(t, refusals);
      articles.live(() => {}, { interval: 5 });
      await until(() => results.length > 3);
      assert.deepEqual(errors, []);
    });
  }

  test('waits as long as the service requires, and a little longer', { timeout: 60_000 }, async (t) => {
    const backoff = [200, {}, [FIRST, 'event: backoff\ndata: {"seconds": 3}\nretry: 3000\n\n', null]];
    const { articles, opened } = await streaming(t, [backoff]);
    const { setTimeout: start } = globalThis;
    const pauses = [];
    t.mock.method(globalThis, 'setTimeout', (action, time, ...operands) => {
      const isPause = time > 3000 && time < 6000;
      if (isPause) pauses.push(time);
      return start(action, isPause ? 0 : time, ...operands);
    });
    articles.live(() => {});
    await until(() => opened().length > 1);
    assert.equal(pauses.length, 1);
  });

  test('with an event that is not JSON is an error, and the list is polled', { timeout: 60_000 }, async (t) => {
    const broken = [200, {}, ['event: change\nid: "6"\ndata: x\n\n']];
    const { articles, results, errors } = await streaming(t, [broken]);
    articles.live(() => {}, { interval: 5 });
    await until(() => errors.length && results.length > 1);
    assert.ok(errors[0] instanceof SyntaxError);
  });

  test('of a state older than the copy is not applied; the list is read again', { timeout: 60_000 }, async (t) => {
    const older = change(3, [{ id: 'a', last_modified: 3 }], '1-3-27');
    const { articles, requests, results } = await streaming(t, [[200, {}, [FIRST, older]]]);
    articles.live(() => {});
    await until(() => results.length > 2);
    assert.deepEqual(await articles.list(), []);
    assert.equal(requests.filter(({ url, isStream }) => url.includes('_sort') && !isStream).length, 2);
  });

  test('ends when the client is closed, also after a garbage collection', { timeout: 60_000 }, async (t) => {
    const { client, articles, opened, errors } = await streaming(t, [[200, {}, [FIRST]]]);
    articles.live(() => {});
    await until(() => opened().length);
    for (let count = 0; count < 5; count++) {
      collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await client.close();
    await until(() => opened()[0].socket.destroyed);
    assert.equal(opened().length, 1);
    assert.deepEqual(errors, []);
  });
});

for (const [moment, respond] of [
  ['before a response', () => {}],
  ['in the middle of a response', (response) => response.write('{')],
  ['during a stream', (response) => response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(':')],
]) {
  test(`a client that is closed ${moment} leaves no connection open`, { timeout: 60_000 }, async (t) => {
    const service = createServer(({ url, socket }, response) => {
      response.setHeader('Content-Type', 'application/json');
      if (url === '/') response.end('{"settings": {}}');
      else service.emit('opened', socket, respond(response));
    });
    service.listen(0, '127.0.0.1');
    await once(service, 'listening');
    const gate = new Gate(`http://127.0.0.1:${service.address().port}`);
    await gate.open();
    t.after(() => gate.shut(service.close(service.closeAllConnections())));
    const client = clientOf(gate.url, {});
    const request = client.request('GET', '/any', { headers: { Accept: 'text/event-stream' } }).catch(() => {});
    const [socket] = await once(service, 'opened');
    await client.close();
    await request;
    if (!socket.destroyed) await once(socket, 'close');
  });
}

describe('a page', () => {
  /** Set a global as browsers have it, until the end of a test. */
  function browser(t, name, value) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    t.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
  }

  for (const [name, hide, show] of [
    ['hidden', (page) => (page.hidden = true), (page) => (page.hidden = false)],
    ['offline', () => (globalThis.navigator = { onLine: false }), () => (globalThis.navigator = { onLine: true })],
  ]) {
    test(`that is ${name} reads no stream until it isn't`, { timeout: 60_000 }, async (t) => {
      const page = new EventTarget();
      browser(t, 'document', page);
      browser(t, 'navigator', { onLine: true });
      const closed = [];
      const { articles, opened, results, errors } = await streaming(t, [], {
        fetch: (url, options) => {
          if (options.headers?.Accept) options.signal.addEventListener('abort', () => closed.push(url));
          return fetch(url, options);
        },
      });
      articles.live(() => {});
      await until(() => opened().length);
      hide(page);
      page.dispatchEvent(new Event('visibilitychange'));
      await until(() => closed.length);
      const { length } = results;
      page.dispatchEvent(new Event('visibilitychange'));
      await new Promise((resolve) => setTimeout(resolve, 30));
      assert.equal(results.length, length);
      show(page);
      page.dispatchEvent(new Event('visibilitychange'));
      await until(() => opened().length > 1);
      assert.deepEqual(errors, []);
    });
  }
});

test('tabs with one store share a stream, which another tab reads when the first one is closed', async (t) => {
  const store = Object.assign(new MemoryStore(), { name: crypto.randomUUID() });
  const queue = new Map();
  // Like the Web Locks API.
  const locks = {
    request: async (name, { signal } = {}, action) => {
      const previous = queue.get(name);
      const result = (async () => {
        await previous?.catch(() => {});
        signal?.throwIfAborted();
        return action();
      })();
      queue.set(name, result);
      return result;
    },
  };
  const user = newUser();
  const tabs = [];
  for (let tab = 0; tab < 2; tab++) tabs.push(await following(t, { user, options: { store, locks } }));
  await until(() => tabs.every(({ results }) => results.length) && tabs.some(({ results }) => results.length > 1));
  const streams = () => tabs.map(({ requests }) => requests.filter((kind) => kind === 'stream').length);
  await createElsewhere(user, 'both');
  await Promise.all(tabs.map(({ changes }) => until(() => changes.some(({ record }) => record?.title === 'both'))));
  assert.deepEqual(streams().sort(), [0, 1]);
  const [reader, waiting] = streams()[0] ? tabs : tabs.toReversed();
  await reader.client.close();
  await until(() => waiting.requests.includes('stream'));
  await createElsewhere(user, 'alone');
  await until(() => waiting.changes.some(({ record }) => record?.title === 'alone'));
});

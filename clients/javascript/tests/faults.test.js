/** Faults of gateways, networks, stores and callers, that clients meet in use. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Client, MemoryStore } from '../cliquet.js';
import { query } from '../query.js';
import { listOf, serve } from './fake.js';
import { clientOf, keysOf, newUser, recordsOf, SERVERS } from './support.js';

const { sqlite: SERVER } = SERVERS;
const SECRET = { Authorization: 'Bearer secret' };
const URL_ = 'https://www.example.com/';
const list = (data, timestamp, headers) => [200, { ETag: `"${timestamp}"`, ...headers }, { data }];
const html = (status) => () => new Response('<p>Log in</p>', { status, headers: { 'Content-Type': 'text/html' } });

const lost = () => {
  throw new TypeError('the response is lost');
};

/** A resource whose requests a function may respond to, and the records that it has. */
async function synchronized(t, data = [{ id: 'a', last_modified: 3, title: 'Hello' }], options = {}) {
  const fake = await serve(t, [list(data, 5)], {}, options);
  await fake.articles.sync();
  const { fetch } = fake.client;
  const respond = (respond) =>
    (fake.client.fetch = async (url, options) => respond(url, options) ?? fetch(url, options));
  return { ...fake, respond };
}

describe('a missing record', () => {
  for (const [name, response] of [
    ['HTML of a gateway', html(404)],
    ['JSON of a gateway', () => Response.json({ message: 'no route' }, { status: 404 })],
    ['an unsupported version', () => Response.json({ code: 404, errno: 116 }, { status: 404 })],
  ]) {
    test(`remains when the response is ${name}`, async (t) => {
      const { articles, respond } = await synchronized(t);
      respond(response);
      assert.equal((await articles.get('a')).title, 'Hello');
      assert.equal((await articles.list()).length, 1);
    });
  }

  test('without a local copy is an error if the user may not read it', async (t) => {
    const { articles, respond } = await synchronized(t);
    respond(() => Response.json({ code: 403, errno: 121 }, { status: 403 }));
    await assert.rejects(articles.get('unknown'), { status: 403 });
    assert.equal((await articles.get('a')).title, 'Hello');
    respond(() => Response.json({ code: 500, errno: 999 }, { status: 500 }));
    assert.equal(await articles.get('unknown'), null);
  });

  test('is null, and only removed by the next synchronization', async (t) => {
    const { articles, respond, client } = await synchronized(t);
    const { fetch } = client;
    respond(() => Response.json({ code: 404, errno: 111 }, { status: 404 }));
    assert.equal(await articles.get('a'), null);
    assert.equal((await articles.list()).length, 1);
    client.fetch = fetch;
    const tombstone = { id: 'a', last_modified: 6, deleted: true };
    respond((url) => (url.includes('_since') ? listOf([tombstone], 6) : null));
    await articles.sync();
    assert.deepEqual(await articles.list(), []);
  });
});

describe('a list', () => {
  for (const hidden of ['ETag', 'Total-Records']) {
    test(`without ${hidden} is refused`, async () => {
      const client = clientOf(SERVER, newUser());
      const bookmarks = client.resource('/bookmarks');
      for (let number = 0; number < 5; number++) await bookmarks.create({ url: URL_ + number });
      await bookmarks.sync();
      await bookmarks.reset();
      client.fetch = async (...request) => {
        const response = await fetch(...request);
        const headers = new Headers(response.headers);
        for (const name of [hidden, 'Next-Page', 'Checksum']) headers.delete(name); // by a proxy, or by CORS
        return Object.defineProperty(response, 'headers', { value: headers });
      };
      await assert.rejects(
        bookmarks.sync(),
        new RegExp(`/bookmarks, 4 of ${hidden === 'ETag' ? '.*ETag null' : 'null, ETag'}`),
      );
      assert.deepEqual(await bookmarks.list(), []);
    });
  }

  test('without data is refused', async (t) => {
    const portal = [200, { ETag: '"5"', 'Total-Records': '0' }, { login: 'https://portal.example' }];
    const { articles } = await serve(t, [portal]);
    await assert.rejects(articles.sync(), /Incomplete list: .articles, NaN of 0/);
  });

  test('with fewer records than Total-Records is refused', async (t) => {
    const data = [{ id: 'a', last_modified: 3 }];
    const { articles } = await serve(t, [list(data, 5, { 'Total-Records': '250' })]);
    await assert.rejects(articles.sync(), /\/articles, 1 of 250, ETag/);
  });

  test('of several pages can miss records that others insert before the last page, with a checksum', async (t) => {
    const pages = (more) => [
      list([{ id: 'a', last_modified: 3 }], 5, { 'Next-Page': 'http://any/articles?_token=x', 'Total-Records': '2' }),
      list([{ id: 'b', last_modified: 4 }], 5, { ...more, 'Total-Records': '3' }),
    ];
    const all = [2, 3, 4].map((last_modified) => ({ id: 'zab'[last_modified - 2], last_modified }));
    const headers = { 'Total-Records': '3', Checksum: '3-9-99' };
    const { articles } = await serve(t, [
      ...pages({ Checksum: '3-9-99' }),
      list(all, 5, headers),
      list(all.slice(0, 1), 5, { Checksum: '3-9-99' }),
    ]);
    assert.equal((await articles.sync()).verified, true);
    assert.equal((await articles.list()).length, 3);
    const { articles: unknowing } = await serve(t, pages());
    await assert.rejects(unknowing.sync(), /2 of 3, ETag/);
  });

  test('of several pages has as many records as Total-Records', async (t) => {
    const next = (token) => ({ 'Total-Records': '2', ...(token && { 'Next-Page': `http://any/articles?_token=x` }) });
    const pages = [
      list([{ id: 'a', last_modified: 3 }], 5, next(true)),
      list([{ id: 'b', last_modified: 4 }], 5, next()),
    ];
    const { articles } = await serve(t, pages);
    assert.equal((await articles.sync()).pulled, 2);
  });
});

describe('field names', () => {
  for (const name of ['constructor', 'toString', 'hasOwnProperty', '__proto__']) {
    test(`such as ${name} can be stored, found and removed`, async () => {
      const server = 'http://127.0.0.1';
      const articles = new Client({ server, query, fetch: () => Promise.reject(new TypeError('offline')) }).resource(
        '/articles',
      );
      const data = JSON.parse(`{"id": "a", "${name}": 1}`);
      await articles.create(data);
      assert.equal((await articles.filter(JSON.parse(`{"${name}": 1}`))).length, 1);
      assert.equal((await articles.filter(JSON.parse(`{"${name}": null}`))).length, 0);
      for (const value of ['1', '{}']) {
        await articles.update(JSON.parse(`{"id": "a", "${name}": ${value}}`));
        assert.deepEqual(Object.keys((await articles.list())[0]), ['id', name]);
        await articles.update({ id: 'a' });
        assert.deepEqual(Object.keys((await articles.list())[0]), ['id']);
      }
    });
  }

  test('include deleted: such a record is not a tombstone', async (t) => {
    const record = { id: 'a', last_modified: 3, deleted: true, title: 'Hello' };
    const { articles } = await synchronized(t, [record]);
    assert.deepEqual(await articles.list(), [record]);
  });
});

for (const damage of [null, 'text', 7, {}, { record: 'text' }, { record: {} }]) {
  test(`an item that became ${JSON.stringify(damage)} is reported, left out, and fetched again`, async (t) => {
    const store = new MemoryStore();
    const data = [
      { id: 'a', last_modified: 3 },
      { id: 'b', last_modified: 4 },
    ];
    const { client, articles, respond } = await synchronized(t, data, { store });
    const damaged = [];
    client.addEventListener('damaged', ({ detail }) => damaged.push(detail));
    const [key] = (await keysOf(store)).filter((key) => key.includes('|a|'));
    await store.write([[key, damage]]);
    assert.deepEqual(await articles.list(), data.slice(1));
    assert.deepEqual(damaged, [{ path: '/articles', id: 'a' }]);
    respond((url) => (url.endsWith('/articles/a') ? Response.json({ data: data[0] }) : null));
    await articles.sync();
    assert.deepEqual(await articles.list({ sort: 'id' }), data);
  });
}

describe('a request', () => {
  for (const [name, respond] of [
    ['never gets a response', () => {}],
    [
      'gets a response that drips, and never ends',
      (request, response) => {
        response.setHeader('Content-Type', 'application/json');
        const drip = setInterval(() => response.write(' '), 2);
        response.on('close', () => clearInterval(drip));
      },
    ],
  ]) {
    test(`that ${name} fails after a time`, { timeout: 60_000 }, async (t) => {
      const silent = createServer(respond).listen(0, '127.0.0.1');
      await once(silent, 'listening');
      t.after(() => silent.close(silent.closeAllConnections()));
      const server = `http://127.0.0.1:${silent.address().port}`;
      const articles = new Client({ server, timeout: 30, retries: 1, delay: 1 }).resource('a');
      await assert.rejects(articles.sync(), { name: 'TimeoutError' });
    });
  }

  for (const status of [301, 302, 307, 308]) {
    test(`that is redirected with ${status} is not sent to the other server`, async (t) => {
      const other = await serve(t, []);
      const Location = `${other.client.server}/articles`;
      const { articles } = await serve(t, [[status, { Location }]], {}, { auth: () => SECRET, retries: 0 });
      await assert.rejects(articles.sync(), TypeError);
      assert.deepEqual(other.requests, []);
    });
  }

  test('waits at most a day, however long Retry-After is', async (t) => {
    const { client, articles } = await serve(t, [[503, { 'Retry-After': String(40 * 24 * 60 * 60) }]]);
    const controller = new AbortController();
    const waits = [];
    client.addEventListener('waiting', ({ detail }) => controller.abort(waits.push(detail.seconds)));
    await assert.rejects(articles.sync({ signal: controller.signal }));
    assert.ok(waits[0] > 86_000 && waits[0] <= 86_400, `${waits}`);
  });

  test('waits by the clock of the server', async (t) => {
    const dates = { Date: 'Sat, 01 Jan 2000 00:00:00 GMT', 'Retry-After': 'Sat, 01 Jan 2000 00:00:01 GMT' };
    const { articles, requests } = await serve(t, [[503, dates]]);
    await articles.sync();
    const time = requests[1].time - requests[0].time;
    assert.ok(time >= 990 && time < 5000, `${time}`);
  });
});

describe('the hello', () => {
  const offered = (...responses) => ({ fetch: async () => responses.shift()(), retries: 0, locks: null });
  const hello = () => Response.json({ settings: {} });
  const empty = () => listOf([], 1);

  test('of a portal is not kept', async () => {
    const portal = () => Response.json({ login: 'here' });
    const client = new Client({ server: 'http://127.0.0.1', ...offered(portal, hello, empty) });
    await assert.rejects(client.resource('a').sync(), /Not a Cliquet service/);
    await client.resource('a').sync();
  });

  test('that is redirected to another server sends it no credentials', async (t) => {
    const other = await serve(t, []);
    const redirecting = createServer((request, response) =>
      response.writeHead(307, { Location: `${other.client.server}/` }).end(),
    ).listen(0, '127.0.0.1');
    await once(redirecting, 'listening');
    t.after(() => redirecting.close(redirecting.closeAllConnections()));
    const server = `http://127.0.0.1:${redirecting.address().port}`;
    const client = new Client({ server, auth: () => SECRET });
    await assert.rejects(client.resource('a').sync(), { message: `Not a Cliquet service: ${other.client.server}` });
    assert.deepEqual(other.requests, []);
  });

  test('that a gateway answers with 410 does not end the client', async () => {
    const client = new Client({ server: 'http://127.0.0.1', ...offered(hello, html(410), empty) });
    await assert.rejects(client.resource('a').sync(), { status: 410 });
    await client.resource('a').sync();
  });
});

describe('credentials', () => {
  const expired = [401, {}, { code: 401, errno: 104 }];

  test('are requested for each attempt', async (t) => {
    const { client, articles, requests } = await serve(t, [[503, {}, {}]]);
    let count = 0;
    client.auth = () => ({ Authorization: `Bearer ${++count}` });
    await articles.sync();
    assert.deepEqual(
      requests.map(({ headers }) => headers.authorization),
      ['Bearer 1', 'Bearer 2'],
    );
  });

  for (const [name, responses] of [
    ['a list', [expired]],
    ['a batch', [undefined, [200, {}, { responses: [{ status: 401, body: { errno: 104 } }] }]]],
  ]) {
    test(`that expired are refreshed once, after ${name}`, async (t) => {
      const { client, articles, requests } = await serve(t, responses);
      let token = 'old';
      client.auth = (error) => ({ Authorization: `Bearer ${error ? (token = 'new') : token}` });
      await articles.create({ title: 'Hello' });
      assert.equal((await articles.sync()).pushed, 1);
      const tokens = requests.map(({ headers }) => headers.authorization.split(' ')[1]);
      assert.equal(tokens.filter((each, index) => each !== tokens[index - 1]).join(), 'old,new');
    });
  }

  test('that are refused again are not refreshed again', async (t) => {
    const { client, articles, requests } = await serve(t, Array(9).fill(expired));
    client.auth = () => ({ Authorization: String(Math.random()) });
    await assert.rejects(articles.sync(), { status: 401 });
    assert.equal(requests.length, 2);
  });
});

describe('an argument', () => {
  const articles = () =>
    new Client({ server: 'http://127.0.0.1', fetch: async () => html(503)() }).resource('/articles');

  for (const id of [7, '', '.', '..', null, {}]) {
    test(`as id, ${JSON.stringify(id)} is refused`, async () => {
      if (id) await assert.rejects(articles().create({ id }), /Invalid id/);
      await assert.rejects(articles().get(id), /Invalid id/);
      await assert.rejects(articles().delete(id), /Invalid id/);
    });
  }

  for (const path of ['', '/', '/a?b', '/a#b', '/../a', '/a/./b', '/a//b', '/a|b', 'http://other/a', '/a\\b']) {
    test(`as path, ${JSON.stringify(path)} is refused`, () => {
      assert.throws(() => new Client({ server: 'http://127.0.0.1' }).resource(path), /Invalid path/);
    });
  }

  test('as path can have slashes or not', () => {
    const client = new Client({ server: 'http://127.0.0.1' });
    assert.equal(client.resource('articles/'), client.resource('/articles'));
  });

  const cycle = {};
  cycle.cycle = cycle;
  for (const [name, value] of Object.entries({
    BigInt: 1n,
    cycle,
    NaN: NaN,
    Infinity: Infinity,
    integer: 2 ** 60,
    Map: new Map(),
    Set: new Set([1]),
    Blob: new Blob([]),
    function: () => {},
    nested: [{ value: NaN }],
  })) {
    test(`as value, ${name} is refused by a promise`, async () => {
      const resource = articles();
      await assert.rejects(resource.create({ value }), TypeError);
      await resource.create({ id: 'a' });
      await assert.rejects(resource.patch('a', { value }), TypeError);
      assert.deepEqual(await resource.list(), [{ id: 'a' }]);
    });
  }

  test('as value, undefined is left out, and a Date becomes a string', async () => {
    const record = await articles().create({ id: 'a', nothing: undefined, date: new Date(0), half: 0.5 });
    assert.deepEqual(record, { id: 'a', date: '1970-01-01T00:00:00.000Z', half: 0.5 });
  });

  test('long integers of the server remain when other fields are changed', async (t) => {
    const { articles, requests } = await synchronized(t, [{ id: 'a', last_modified: 3, n: 2 ** 60, title: 'Hello' }]);
    await articles.update({ ...(await articles.list())[0], title: 'changed' });
    await articles.sync();
    const { body } = requests.find(({ url }) => url === '/batch');
    assert.deepEqual(body.requests[0].body, { data: { title: 'changed' } });
  });
});

describe('one store', () => {
  test('has the same records, however the URL of the server is spelled', async () => {
    const store = new MemoryStore();
    const spellings = [
      'http://example.com',
      'http://EXAMPLE.com:80/',
      'http://example.com/v1',
      'http://example.com/v1/',
    ];
    const [first, ...others] = spellings.map((server) => new Client({ server, store }).resource('/articles'));
    await first.create({ id: 'a' });
    for (const other of others) assert.equal((await other.list()).length, 1);
  });

  test('of several users shows and sends each of them their own records', async () => {
    const store = new MemoryStore();
    const [alice, bob] = ['alice', 'bob'].map((user) => clientOf(SERVER, newUser(), { store, user }));
    await alice.resource('/bookmarks').create({ url: URL_ });
    assert.deepEqual(await bob.resource('/bookmarks').list(), []);
    assert.equal((await bob.resource('/bookmarks').sync()).pushed, 0);
    assert.equal((await alice.resource('/bookmarks').sync()).pushed, 1);
    await alice.destroy();
    assert.deepEqual(await keysOf(store, 'alice'), []);
    assert.notDeepEqual(await keysOf(store), []);
  });
});

/** A store with room for some characters. */
class SmallStore extends MemoryStore {
  items = new Map();

  constructor(room) {
    super();
    this.room = room;
  }

  async write(changes) {
    const items = new Map(this.items);
    for (const [key, value] of changes) value === undefined ? items.delete(key) : items.set(key, value);
    if (JSON.stringify([...items]).length > this.room) throw new DOMException('full', 'QuotaExceededError');
    this.items = items;
    return super.write(changes);
  }
}

test('a full store has room again after deletions elsewhere', async () => {
  const user = newUser();
  const store = new SmallStore(Infinity);
  const [one, other] = [{ store }, {}].map((options) => clientOf(SERVER, user, options).resource('/bookmarks'));
  for (let number = 0; number < 3; number++) await other.create({ url: URL_ + number, title: 'x'.repeat(100) });
  await other.sync();
  await one.sync();
  store.room = JSON.stringify(await store.getAll([''])).length;
  await assert.rejects(one.create({ url: URL_, title: 'x'.repeat(100) }), { name: 'QuotaExceededError' });
  const [first, second] = await other.list();
  await other.delete(first.id);
  await other.delete(second.id);
  await other.sync();
  await one.sync();
  await one.create({ url: URL_, title: 'x'.repeat(100) });
  await one.sync();
  assert.deepEqual(await one.list(), await recordsOf(SERVER, user, '/bookmarks'));
});

describe('a full store', () => {
  /** A copy that fills its store, of records of which another device can delete some. */
  async function filled() {
    const user = newUser();
    const store = new SmallStore(Infinity);
    const [one, other] = [{ store }, {}].map((options) => clientOf(SERVER, user, options).resource('/bookmarks'));
    for (let number = 0; number < 3; number++) await other.create({ url: URL_ + number, title: 'x'.repeat(400) });
    await other.sync();
    await one.sync();
    const large = await other.list();
    return { user, store, one, other, large, fill: () => (store.room = JSON.stringify([...store.items]).length) };
  }

  test('first removes what others deleted, even if that comes after other changes', async () => {
    const { user, one, other, large, fill } = await filled();
    fill();
    for (let number = 3; number < 9; number++) await other.create({ url: URL_ + number, title: 'short' });
    await other.sync();
    for (const { id } of large) await other.delete(id);
    await other.sync();
    await one.sync();
    assert.deepEqual(await one.list(), await recordsOf(SERVER, user, '/bookmarks'));
  });

  test('lets changes be sent, although others do not fit', async () => {
    const { user, store, one, other, large, fill } = await filled();
    await one.patch(large[0].id, { title: 'mine' });
    fill();
    store.room += 60; // the time when a change is sent is stored too
    await other.create({ url: `${URL_}large`, title: 'x'.repeat(2000) });
    await other.sync();
    await assert.rejects(one.sync(), { name: 'QuotaExceededError' });
    const titles = (await recordsOf(SERVER, user, '/bookmarks')).map(({ title }) => title);
    assert.ok(titles.includes('mine'));
  });

  test('lets records be deleted, which takes little room', async () => {
    const { user, store, one, large, fill } = await filled();
    await one.patch(large[1].id, { title: 'y'.repeat(400) });
    fill();
    store.room += 300;
    for (const { id } of large.slice(0, 2)) await one.delete(id);
    await one.sync();
    assert.deepEqual(await one.list(), await recordsOf(SERVER, user, '/bookmarks'));
  });
});

test('a first synchronization that is larger than the store goes on when there is room', async () => {
  const user = newUser();
  const store = new SmallStore(1200);
  const [one, other] = [{ store }, {}].map((options) => clientOf(SERVER, user, options).resource('/bookmarks'));
  for (let number = 0; number < 9; number++) await other.create({ url: URL_ + number });
  await other.sync();
  await assert.rejects(one.sync(), { name: 'QuotaExceededError' });
  assert.ok((await one.list()).length >= 4);
  store.room = Infinity;
  await one.sync();
  assert.deepEqual(await one.list(), await recordsOf(SERVER, user, '/bookmarks'));
});

for (const [engine, server] of Object.entries(SERVERS)) {
  test(`values that a database can't store don't keep others from being sent, on ${engine}`, async () => {
    const user = newUser();
    const one = clientOf(server, user).resource('/bookmarks');
    const titles = ['first', 'NUL \0', 'second', 'half \ud83d of a pair', '\udc00', 'third'];
    for (const [number, title] of titles.entries()) await one.create({ url: URL_ + number, title });
    const { pushed, errors } = await one.sync();
    const records = await recordsOf(server, user, '/bookmarks');
    assert.deepEqual([records.length, errors.length], [pushed, titles.length - pushed]);
    const sent = records.map(({ title }) => title);
    assert.ok(['first', 'second', 'third'].every((title) => sent.includes(title)));
    assert.deepEqual(
      (await one.pending()).map(({ local }) => local.title).sort(),
      errors.map(({ local }) => local.title).sort(),
    );
  });
}

test('a refused change is sent again, and succeeds once the server allows it', async (t) => {
  const forbidden = [200, {}, { responses: [{ status: 403, body: { code: 403, errno: 121 } }] }];
  const { articles } = await serve(t, [undefined, forbidden]);
  await articles.create({ id: 'a', title: 'Hello' });
  const { pushed, errors } = await articles.sync();
  assert.deepEqual([pushed, errors.map(({ id, status }) => [id, status])], [0, [['a', 403]]]);
  await articles.patch('a', { title: 'changed' });
  assert.equal((await articles.sync()).pushed, 1);
  assert.deepEqual(await articles.pending(), []);
});

test('a refused change loses its low priority once it has been accepted', async (t) => {
  const forbidden = [200, {}, { responses: [{ status: 403, body: { code: 403, errno: 121 } }] }];
  const { articles, requests } = await serve(t, [undefined, forbidden], {}, { batchSize: 1 });
  await articles.create({ id: 'a' });
  assert.equal((await articles.sync()).errors.length, 1);
  for (const [title, sent] of [
    ['one', ['b', 'a']],
    ['two', ['a', 'c']],
  ]) {
    requests.length = 0;
    await articles.patch('a', { title });
    await articles.create({ id: sent.find((id) => id !== 'a') });
    await articles.sync();
    const paths = requests.filter(({ url }) => url === '/batch').map(({ body }) => body.requests[0].path);
    assert.deepEqual(
      paths,
      sent.map((id) => `/articles/${id}`),
    );
  }
});

for (const moment of ['before', 'after']) {
  test(`a push that is aborted ${moment} the server receives it is complete after the next one`, async () => {
    const user = newUser();
    const client = clientOf(SERVER, user);
    const bookmarks = client.resource('/bookmarks');
    const { id } = await bookmarks.create({ url: URL_ });
    await bookmarks.sync();
    await bookmarks.patch(id, { title: 'changed' });
    for (let number = 0; number < 4; number++) await bookmarks.create({ url: URL_ + number });
    const controller = new AbortController();
    client.fetch = async (url, options) => {
      if (options.method !== 'POST') return fetch(url, options);
      if (moment === 'after') await fetch(url, { ...options, signal: undefined });
      controller.abort();
      return fetch(url, options);
    };
    await assert.rejects(bookmarks.sync({ signal: controller.signal }), { name: 'AbortError' });
    assert.equal((await bookmarks.pending()).length, 5);
    client.fetch = fetch;
    const { conflicts, errors } = await bookmarks.sync();
    assert.deepEqual([conflicts, errors, await bookmarks.pending()], [[], [], []]);
    const records = await recordsOf(SERVER, user, '/bookmarks');
    assert.equal(records.length, 5);
    assert.deepEqual(await bookmarks.list(), records);
  });
}

const YEAR = 365 * 24 * 60 * 60 * 1000;

for (const [name, first, second] of [
  ['is a year behind', -YEAR, -YEAR],
  ['is a year ahead', YEAR, YEAR],
  ['is set back between two edits', YEAR, -YEAR],
  ['is set forward between two edits', -YEAR, YEAR],
]) {
  test(`edits of a device whose clock ${name} are sent in their order, and conflict with later versions`, async (t) => {
    const user = newUser();
    const store = new MemoryStore();
    const losing = (url, options) => (options.method === 'POST' ? fetch(url, options).then(lost) : fetch(url, options));
    const [page, mine, theirs] = [{ store, fetch: losing }, { store }, {}].map((options) =>
      clientOf(SERVER, user, options).resource('/bookmarks'),
    );
    const { now } = Date;
    t.after(() => (Date.now = now));
    const { id } = await theirs.create({ url: URL_, title: 'first' });
    await theirs.sync();
    Date.now = () => now() + first;
    await page.sync();
    await page.patch(id, { title: 'second' });
    await assert.rejects(page.sync(), /lost/);
    Date.now = () => now() + second;
    await mine.patch(id, { title: 'third' });
    assert.equal((await mine.list())[0].title, 'third');
    assert.deepEqual((await mine.sync()).conflicts, []);
    await theirs.sync();
    assert.equal((await theirs.list())[0].title, 'third');
    await theirs.patch(id, { title: 'theirs' });
    await theirs.sync();
    await mine.patch(id, { title: 'mine' });
    const { conflicts } = await mine.sync();
    assert.deepEqual([conflicts[0].server.title, conflicts[0].local.title], ['theirs', 'mine']);
  });
}

describe('unique values', () => {
  test('that one change frees can be taken by another, in any order', async () => {
    const one = clientOf(SERVER, newUser()).resource('/bookmarks');
    const made = [];
    for (const number of [1, 2, 3]) made.push(await one.create({ url: URL_ + number }));
    await one.sync();
    for (const [index, number] of [
      [2, 4],
      [1, 3],
      [0, 2],
    ])
      await one.patch(made[index].id, { url: URL_ + number });
    await one.create({ url: `${URL_}1` });
    for (const { id } of [...made].reverse()) await one.patch(id, { title: 'touched' });
    assert.deepEqual((await one.sync()).errors, []);
    assert.deepEqual(await one.pending(), []);
  });

  test('that two records swap are rejected, and accepted in two steps', async () => {
    const sent = [];
    const watched = (url, options) => (sent.push(options.body ?? ''), fetch(url, options));
    const one = clientOf(SERVER, newUser(), { fetch: watched }).resource('/bookmarks');
    const [a, b] = [await one.create({ url: `${URL_}1` }), await one.create({ url: `${URL_}2` })];
    await one.sync();
    await one.patch(a.id, { url: `${URL_}temporary` });
    await one.patch(b.id, { url: `${URL_}1` });
    await one.patch(a.id, { url: `${URL_}2` });
    const { errors } = await one.sync();
    assert.deepEqual(
      errors.map(({ status, body }) => [status, body.details.field]),
      Array(2).fill([409, 'url']),
    );
    assert.deepEqual(
      (await one.pending()).map(({ id, local }) => [id, local.url]).sort(),
      [
        [a.id, `${URL_}2`],
        [b.id, `${URL_}1`],
      ].sort(),
    );
    assert.ok(!sent.some((body) => body.includes('temporary')));
    await one.patch(a.id, { url: `${URL_}3` });
    assert.deepEqual((await one.sync()).errors, []);
    await one.patch(a.id, { url: `${URL_}2` });
    assert.deepEqual((await one.sync()).errors, []);
    assert.deepEqual(
      (await one.list({ sort: 'url' })).map(({ id }) => id),
      [b.id, a.id],
    );
  });
});

for (const [sent, normalized] of [
  [' Hello World ', 'hello world'],
  ['Hello \t  World', 'Hello World'],
  ['cafe\u0301', 'café'],
  ['ﬁve', 'five'],
  ['7', 7],
]) {
  test(`${JSON.stringify(sent)}, if the server normalizes it, is not a conflict after a lost response`, async (t) => {
    const { articles, client } = await synchronized(t);
    await articles.patch('a', { title: sent });
    const { fetch } = client;
    client.fetch = (url, options) =>
      url.endsWith('/batch') ? Promise.reject(new TypeError('lost')) : fetch(url, options);
    client.retries = 0;
    await assert.rejects(articles.sync(), /lost/);
    const data = [{ id: 'a', last_modified: 6, title: normalized }];
    client.fetch = async (url, options) => (url.includes('_since') ? listOf(data, 6) : fetch(url, options));
    assert.deepEqual((await articles.sync()).conflicts, []);
    assert.deepEqual(await articles.list(), data);
  });
}

const BOTH = ({ local, server }) => ({ ...server, ...local });

for (const [name, conflict] of [
  ['client', 'client'],
  ['server', 'server'],
  ['both', BOTH],
]) {
  test(`values that the server truncates or rounds are sent again at most once, with the strategy ${name}`, async (t) => {
    const { articles, client } = await synchronized(t, undefined, { conflict, retries: 0 });
    let record = { id: 'a', last_modified: 3, title: 'Hello' };
    let pushes = 0;
    client.fetch = async (url, { body }) => {
      if (!url.endsWith('/batch')) return listOf([record], 9);
      const [request] = JSON.parse(body).requests;
      assert.equal(request.headers['If-Match'], `"${record.last_modified}"`);
      const { title, size } = { ...record, ...request.body.data };
      record = { id: 'a', last_modified: 6 + pushes++, title: title.slice(0, 5), size: Math.round(size) };
      if (pushes === 1) throw new TypeError('lost');
      return Response.json({ responses: [{ status: 200, body: { data: record } }] });
    };
    await articles.patch('a', { title: 'Hello world', size: 1.6 });
    await assert.rejects(articles.sync(), /lost/);
    for (let round = 0; round < 3; round++) await articles.sync();
    assert.deepEqual(await articles.pending(), []);
    assert.deepEqual(await articles.list(), [record]);
    assert.ok(pushes <= 2, `${pushes} pushes`);
  });
}

for (const [engine, server] of Object.entries(SERVERS)) {
  describe(`a creation that arrives late, on ${engine}`, () => {
    /** A client whose batches are also delivered when `deliver()` is called. */
    function late(user) {
      const held = [];
      const held_ = async (url, options) => {
        if (options.method === 'POST') held.push(() => fetch(url, { ...options, signal: undefined }));
        return fetch(url, options);
      };
      const one = clientOf(server, user, { fetch: held_ }).resource('/bookmarks');
      return {
        one,
        deliver: async () => {
          for (const send of held) await send();
        },
      };
    }

    test('does not bring a record back that was deleted by another device', async () => {
      const user = newUser();
      const { one, deliver } = late(user);
      const other = clientOf(server, user).resource('/bookmarks');
      const { id } = await one.create({ url: URL_ });
      await one.sync();
      await other.sync();
      await other.delete(id);
      await other.sync();
      await deliver();
      await one.sync();
      assert.deepEqual(await recordsOf(server, user, '/bookmarks'), []);
      assert.deepEqual(await one.list(), []);
    });

    test('is undone if its record was deleted here before', async () => {
      const user = newUser();
      let send;
      const lost = async (url, options) => {
        if (options.method !== 'POST' || send) return fetch(url, options);
        send = () => fetch(url, { ...options, signal: undefined });
        throw new TypeError('lost');
      };
      const one = clientOf(server, user, { fetch: lost }).resource('/bookmarks');
      const { id } = await one.create({ url: URL_ });
      await assert.rejects(one.sync(), /lost/);
      await one.delete(id);
      await one.sync();
      await send();
      await one.sync();
      assert.deepEqual(await recordsOf(server, user, '/bookmarks'), []);
      assert.deepEqual([await one.list(), await one.pending()], [[], []]);
    });

    test('can be repeated on purpose, after a deletion that the client knows', async () => {
      const user = newUser();
      const one = clientOf(server, user).resource('/bookmarks');
      const { id } = await one.create({ url: URL_ });
      await one.sync();
      await one.delete(id);
      await one.sync();
      await one.create({ id, url: URL_, title: 'again' });
      const { errors, conflicts } = await one.sync({ conflict: 'client' });
      assert.deepEqual([errors, conflicts], [[], []]);
      assert.deepEqual(
        (await recordsOf(server, user, '/bookmarks')).map(({ title }) => title),
        ['again'],
      );
    });
  });
}

test(
  'automatic synchronization goes on after failures and changes, until it is ended',
  { timeout: 60_000 },
  async (t) => {
    const { client, articles, requests } = await serve(t, [[503, {}, {}]], {}, { retries: 0 });
    const events = [];
    for (const type of ['sync', 'error'])
      client.addEventListener(type, ({ detail }) => events.push([type, detail.path]));
    const waitFor = async (count) => {
      while (events.length < count) await setTimeout(5);
    };
    const end = articles.autoSync({ interval: 20 });
    await waitFor(3);
    await articles.create({ title: 'Hello' });
    while (!requests.some(({ url }) => url === '/batch')) await setTimeout(5);
    end();
    await setTimeout(50);
    const { length } = requests;
    await articles.create({ title: 'later' });
    await setTimeout(100);
    assert.equal(requests.length, length);
    assert.deepEqual(events.slice(0, 2), [
      ['error', '/articles'],
      ['sync', '/articles'],
    ]);
  },
);

test('automatic synchronization pauses longer after each failure, up to an hour', { timeout: 60_000 }, async (t) => {
  const MINUTE = 60_000;
  const { articles } = await serve(t, Array(3).fill([503, {}, {}]), {}, { retries: 0, timeout: 1000 });
  const { setTimeout: start } = globalThis;
  const pauses = [];
  t.mock.method(globalThis, 'setTimeout', (action, time, ...operands) => {
    const isPause = time >= MINUTE;
    if (isPause) pauses.push(time / MINUTE);
    return start(action, isPause ? 0 : time, ...operands);
  });
  const end = articles.autoSync({ interval: 20 * MINUTE });
  while (pauses.length < 5) await setTimeout(5);
  end();
  assert.deepEqual(pauses.slice(0, 5), [40, 60, 60, 20, 20]);
});

test('a closed client sends nothing more', async (t) => {
  const { client, articles, requests } = await serve(t, []);
  articles.autoSync();
  while (requests.length === 0) await setTimeout(5);
  await client.close();
  const { length } = requests;
  await assert.rejects(articles.sync(), { name: 'AbortError' });
  await setTimeout(50);
  assert.equal(requests.length, length);
  // A new resource would open a channel to other pages, which nothing would close.
  assert.throws(() => client.resource('others'), { name: 'AbortError' });
});

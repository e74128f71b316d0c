/** Copies that are proven by the checksum of the server, whatever happens to its records. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryStore } from '../cliquet.js';
import { EMPTY, updated } from '../src/checksum.js';
import { serve } from './fake.js';
import { clientOf, newUser, operate, recordsOf, SERVERS, userIdOf } from './support.js';

const URL_ = 'https://www.example.com/';
const GROUP = 'group:friends';

/** A network that hides the header with the checksum, as from servers that don't have it. */
async function withoutChecksum(url, options) {
  const response = await fetch(url, options);
  const headers = new Headers(response.headers);
  headers.delete('Checksum');
  return Object.defineProperty(response, 'headers', { value: headers });
}

const idOf = (number) => `00000000-0000-4000-8000-00000000000${number}`;

/** A user with a copy of six bookmarks. */
async function privately(server, options) {
  const user = newUser();
  const one = clientOf(server, user, options).resource('/bookmarks');
  const other = clientOf(server, user).resource('/bookmarks');
  for (let n = 0; n < 6; n++) await other.create({ id: idOf(n), url: URL_ + n, title: `${n}` });
  await other.sync();
  assert.equal((await one.sync()).pulled, 6);
  return { one, other, user, path: '/bookmarks', place: ['bookmark', await userIdOf(server, user)] };
}

/** A reader of some articles of another user: of one by a group, which the reader belongs to. */
async function shared(server, options) {
  const [user, owner] = [newUser(), newUser()];
  const [reader, author] = [await userIdOf(server, user), await userIdOf(server, owner)];
  const ids = Array.from({ length: 4 }, () => crypto.randomUUID());
  const other = clientOf(server, owner).resource('/articles');
  for (const id of ids) await other.create({ id, title: id });
  await other.sync();
  const share = (id, principal) => ['permission', 'add_principal_to_ace', [`/articles/${id}`, 'read', principal]];
  await operate(
    server,
    owner,
    ...ids.slice(0, 2).map((id) => share(id, reader)),
    ...ids.slice(2).map((id) => share(id, GROUP + author)),
    ['permission', 'add_user_principal', [reader, GROUP + author]],
  );
  const one = clientOf(server, user, options).resource('/articles');
  await one.sync();
  assert.equal((await one.list()).length, 4);
  return { one, other, user, path: '/articles', ids, reader, group: GROUP + author, share };
}

/** What happens to the records, without a change that a client can see by timestamps. */
const CAUSES = {
  'tombstones are purged': async (server) => ({
    begin: privately,
    async cause({ other, user, place }) {
      await other.delete(idOf(1));
      await other.patch(idOf(2), { title: 'changed' });
      await other.sync();
      await operate(server, user, ['storage', 'purge_deleted', place]);
    },
  }),
  'a shared record is deleted': async () => ({
    begin: shared,
    async cause({ other, ids }) {
      await other.delete(ids[0]);
      await other.sync();
    },
  }),
  'a record is no longer shared': async (server) => ({
    begin: shared,
    async cause({ user, ids, reader }) {
      await operate(server, user, ['permission', 'remove_principal_from_ace', [`/articles/${ids[1]}`, 'read', reader]]);
    },
  }),
  'a record becomes shared': async (server) => ({
    async begin(server, options) {
      const all = await shared(server, options);
      const id = crypto.randomUUID();
      await all.other.create({ id, title: 'not shared' });
      await all.other.sync();
      await all.one.sync();
      return { ...all, id };
    },
    async cause({ user, id, reader, share }) {
      await operate(server, user, share(id, reader));
    },
  }),
  'the user leaves a group': async (server) => ({
    begin: shared,
    async cause({ user, reader, group }) {
      await operate(server, user, ['permission', 'remove_user_principal', [reader, group]]);
    },
  }),
  'nothing is shared any more': async (server) => ({
    begin: shared,
    async cause({ user, ids, reader, group }) {
      const remove = (id) => ['permission', 'remove_principal_from_ace', [`/articles/${id}`, 'read', reader]];
      await operate(server, user, ...ids.map(remove), ['permission', 'remove_user_principal', [reader, group]]);
    },
    isForbidden: true,
  }),
  'a record has an old timestamp': async (server) => ({
    begin: privately,
    async cause({ user, place }) {
      const record = { id: idOf(8), url: `${URL_}old`, title: '', device: '', last_modified: 1234567890 };
      await operate(server, user, ['storage', 'create', [...place, record]]);
    },
  }),
  'the server is flushed': async (server) => ({
    begin: privately,
    async cause({ user, place }) {
      await operate(server, user, ['storage', 'delete_all', place, { with_deleted: false }]);
    },
  }),
  'the server is restored to an older state': async (server) => ({
    begin: privately,
    async cause({ one, other, user, place }) {
      const backup = await recordsOf(server, user, '/bookmarks');
      await other.delete(idOf(1));
      await other.patch(idOf(2), { title: 'after the backup' });
      await other.create({ id: idOf(7), url: `${URL_}new` });
      await other.sync();
      await one.sync();
      await operate(
        server,
        user,
        ['storage', 'delete_all', place, { with_deleted: false }],
        ...backup.map((record) => ['storage', 'create', [...place, record]]),
      );
    },
  }),
};

for (const [engine, server] of Object.entries(SERVERS)) {
  describe(`a copy, on ${engine}, is right and verified although`, () => {
    for (const [name, scenario] of Object.entries(CAUSES)) {
      test(`${name}, unless the checksum is ignored`, async () => {
        const { begin, cause, isForbidden } = await scenario(server);
        for (const options of isForbidden ? [{}] : [{}, { fetch: withoutChecksum }]) {
          const all = await begin(server, options);
          const { one, user, path } = all;
          const changed = [];
          one.subscribe(({ id }) => changed.push(id));
          await cause(all);
          const { verified } = await one.sync();
          const expected = isForbidden ? [] : await recordsOf(server, user, path);
          const records = await one.list();
          if (options.fetch) {
            assert.notDeepEqual(records, expected);
            assert.equal(verified, undefined);
          } else {
            assert.deepEqual(records, expected);
            assert.equal(verified, isForbidden ? undefined : true);
            assert.ok(changed.length > 0);
          }
        }
      });
    }
  });
}

const { sqlite: SERVER } = SERVERS;

test('a copy of a server that changes nothing is verified without further requests', async () => {
  const urls = [];
  const counted = (url, options) => urls.push(url) && fetch(url, options);
  const { one } = await privately(SERVER, { fetch: counted });
  for (let round = 0; round < 3; round++) {
    urls.length = 0;
    await one.patch(idOf(1), { title: `round ${round}` });
    assert.equal((await one.sync()).verified, true);
    assert.equal(urls.length, 3, `${urls}`); // pull, push, pull
  }
});

test('pending changes of records that are gone become conflicts, and others remain', async () => {
  const { one, other, user, place } = await privately(SERVER);
  await other.delete(idOf(1));
  await other.delete(idOf(2));
  await other.sync();
  await operate(SERVER, user, ['storage', 'purge_deleted', place]);
  await one.patch(idOf(1), { title: 'mine' });
  await one.patch(idOf(3), { title: 'mine' });
  await one.create({ id: idOf(7), url: `${URL_}new` });
  const { conflicts, pushed, verified } = await one.sync();
  assert.deepEqual([pushed, verified], [2, true]);
  assert.deepEqual(
    conflicts.map(({ local, server }) => [local.title, server]),
    [['mine', null]],
  );
  await one.resolve(conflicts[0], 'client');
  assert.deepEqual((await one.sync()).errors, []);
  assert.deepEqual(await one.list(), await recordsOf(SERVER, user, '/bookmarks'));
});

test('tabs on one store keep its checksum', async () => {
  const store = new MemoryStore();
  const { one, user } = await privately(SERVER, { store });
  const tab = clientOf(SERVER, user, { store }).resource('/bookmarks');
  for (let round = 0; round < 3; round++) {
    await Promise.all([one.patch(idOf(1), { title: `${round}` }), tab.delete(idOf(round + 2))]);
    await Promise.all([one.sync(), tab.sync(), tab.get(idOf(1))]);
  }
  const urls = [];
  const counted = (url, options) => urls.push(url) && fetch(url, options);
  const last = clientOf(SERVER, user, { store, fetch: counted }).resource('/bookmarks');
  assert.equal((await last.sync()).verified, true);
  assert.equal(urls.length, 2, `${urls}`); // the hello, and a 304
});

test('records are fetched with URLs that servers accept, however long the ids are', async (t) => {
  const data = Array.from({ length: 120 }, (_, n) => ({ id: 'é'.repeat(n % 2 ? 1 : 150) + n, last_modified: n + 1 }));
  const checksum = updated(
    EMPTY,
    [],
    data.map(({ last_modified }) => ({ server: {}, timestamp: last_modified })),
  );
  const headers = { ETag: '"500"', Checksum: checksum };
  const { client, articles } = await serve(t, [
    [200, headers, { data: [] }],
    [200, headers, { data }],
  ]);
  const { fetch } = client;
  const lengths = [];
  client.fetch = (url, options) => {
    const { searchParams } = new URL(url);
    if (!searchParams.has('in_id')) return fetch(url, options);
    lengths.push(url.length);
    const ids = JSON.parse(searchParams.get('in_id'));
    return Response.json(
      { data: data.filter(({ id }) => ids.includes(id)) },
      { headers: { ...headers, 'Total-Records': ids.length } },
    );
  };
  assert.equal((await articles.sync()).verified, true);
  assert.equal((await articles.list()).length, data.length);
  assert.ok(Math.max(...lengths) < 4000, `${lengths}`);
});

test('a checksum that is never right is reported, after one comparison', async (t) => {
  const headers = { ETag: '"5"', Checksum: '7-7-7' };
  const data = [{ id: 'a', last_modified: 3 }];
  const { client, articles, requests } = await serve(t, Array(9).fill([200, headers, { data }]));
  const paths = [];
  client.addEventListener('unverified', ({ detail }) => paths.push(detail.path));
  const { verified } = await articles.sync();
  assert.deepEqual([verified, paths, requests.length], [false, ['/articles'], 2]);
  assert.deepEqual(await articles.list(), data);
});

test('the checksum of many records in one response is exact', async (t) => {
  const data = Array.from({ length: 20_000 }, (_, n) => ({ id: `${n}`, last_modified: 1_700_000_000_000 + n }));
  const times = data.map(({ last_modified }) => BigInt(last_modified));
  const sum = (numbers, prime) => numbers.reduce((total, number) => (total + number) % prime, 0n);
  const cubes = times.map((time) => time ** 3n);
  const Checksum = `${data.length}-${sum(times, 67108859n)}-${sum(cubes, 67108837n)}`;
  const { articles, requests } = await serve(t, [[200, { ETag: '"1700000019999"', Checksum }, { data }]]);
  assert.equal((await articles.sync()).verified, true);
  assert.equal(requests.length, 1);
});

test('the checksum is that of the protocol', async (t) => {
  const times = [1500000000000, 1600000000001, 1700000000123];
  const data = times.map((last_modified, index) => ({ id: `${index}`, last_modified }));
  // The sums that Python computes, with integers of any size.
  const Checksum = '3-38860149-58257345';
  const { articles } = await serve(t, [[200, { ETag: '"1700000000123"', Checksum }, { data }]]);
  assert.equal((await articles.sync()).verified, true);
});

test('a version that arrives during a comparison, and is later than it, is kept', async (t) => {
  const headers = { ETag: '"5"', Checksum: '7-7-7' };
  const { client, articles } = await serve(t, Array(2).fill([200, headers, { data: [] }]));
  const { fetch } = client;
  const later = { id: 'b', last_modified: 7 };
  client.fetch = async (url, options) => {
    if (url.endsWith('/articles/b')) return Response.json({ data: later });
    if (url.includes('_fields=')) await articles.get('b');
    return fetch(url, options);
  };
  assert.equal((await articles.sync()).verified, false);
  assert.deepEqual(await articles.list(), [later]);
});

test('without checksums, the timestamp of the list shows that the server was restored', async (t) => {
  const before = { id: 'a', last_modified: 5 };
  const after = { id: 'b', last_modified: 3 };
  const { articles } = await serve(t, [
    [200, { ETag: '"5"' }, { data: [before] }],
    [200, { ETag: '"3"' }, { data: [] }],
    [200, { ETag: '"3"' }, { data: [after] }],
  ]);
  await articles.sync();
  assert.deepEqual(await articles.list(), [before]);
  await articles.sync();
  assert.deepEqual(await articles.list(), [after]);
});

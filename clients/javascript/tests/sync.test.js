/** Resources, with the example application on each engine. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import * as cliquet from '../cliquet.js';
import { query } from '../query.js';
import { clientOf, newUser, recordsOf, SERVERS } from './support.js';

const URL_ = 'https://www.example.com/';
const OFFLINE = { fetch: () => Promise.reject(new TypeError('fetch failed')) };

/** Two browsers of one user; and a third that has no network, on the store of the first. */
function twoOf(server, user = newUser()) {
  const store = new cliquet.MemoryStore();
  const [mine, offline] = [{ store }, { store, ...OFFLINE }].map((options) => clientOf(server, user, options));
  const [one, away, other] = [mine, offline, clientOf(server, user)].map((client) => client.resource('/bookmarks'));
  return { user, one, away, other };
}

/** A record that both have, then changed by each of them. */
async function conflicting(server) {
  const { one, other, ...rest } = twoOf(server);
  const { id } = await one.create({ url: URL_, title: 'first' });
  await one.sync();
  await other.sync();
  await one.patch(id, { title: 'mine' });
  await other.patch(id, { title: 'theirs' });
  await other.sync();
  return { id, one, other, ...rest };
}

for (const [engine, server] of Object.entries(SERVERS)) {
  describe(`on ${engine}`, () => {
    test('the example of the documentation works as written', async () => {
      const localforage = new cliquet.MemoryStore();
      const client = new cliquet.Client({ server, store: localforage, auth: newUser, query });
      const articles = client.resource('/articles');
      const result = await articles.create({ title: 'Hello' });
      assert.equal((await articles.get(result.id)).title, 'Hello');
      assert.deepEqual(await articles.filter({ title: { $eq: 'Hello' } }), [result]);
      assert.equal((await articles.sync()).pushed, 1);
      assert.equal((await articles.get(result.id)).title, 'Hello');
    });

    test('offline changes are sent in batches, and others receive them page by page', async () => {
      const { user, away, one, other } = twoOf(server);
      for (let i = 0; i < 10; i++) await away.create({ url: URL_ + i, title: `${i}` });
      await assert.rejects(away.sync(), /fetch failed/);
      assert.equal((await one.sync()).pushed, 10);
      assert.equal((await other.sync()).pulled, 10);
      assert.deepEqual(await other.list(), await recordsOf(server, user, '/bookmarks'));
      assert.deepEqual(await other.list(), await one.list());
    });

    test('deletions reach the others', async () => {
      const { one, other } = twoOf(server);
      const { id } = await one.create({ url: URL_ });
      await one.sync();
      await other.sync();
      await other.delete(id);
      await other.sync();
      await one.sync();
      assert.deepEqual(await one.list(), []);
      assert.equal(await one.get(id), null);
    });

    test('a replaced record loses the fields that it no longer has', async () => {
      const { one } = twoOf(server);
      const made = await one.create({ url: URL_, title: 'first' });
      await one.sync();
      const { title, ...without } = await one.get(made.id);
      await one.update(without);
      await one.sync();
      assert.equal((await one.get(made.id)).title, '');
    });

    test('get requests the record from the server, and returns the local one offline', async () => {
      const { one, away, other } = twoOf(server);
      const { id } = await one.create({ url: URL_, title: 'first' });
      await one.sync();
      await other.sync();
      await other.patch(id, { title: 'second' });
      await other.sync();
      assert.equal((await away.get(id)).title, 'first');
      assert.equal((await one.get(id)).title, 'second');
      assert.equal((await away.get(id)).title, 'second');
    });

    test('a conflict is left to the caller, with both versions', async () => {
      const { id, one } = await conflicting(server);
      const { conflicts, errors } = await one.sync();
      assert.deepEqual(errors, []);
      assert.deepEqual(
        conflicts.map(({ local, server }) => [local.title, server.title]),
        [['mine', 'theirs']],
      );
      await one.resolve(conflicts[0], { ...conflicts[0].server, title: 'both' });
      assert.deepEqual((await one.sync()).conflicts, []);
      assert.equal((await one.get(id)).title, 'both');
    });

    for (const [strategy, title] of [
      ['server', 'theirs'],
      ['client', 'mine'],
      [({ local, server }) => ({ ...server, title: `${server.title}, ${local.title}` }), 'theirs, mine'],
    ]) {
      test(`a conflict is ended by ${strategy}`, async () => {
        const { id, one, other } = await conflicting(server);
        await one.sync({ conflict: strategy });
        await other.sync();
        assert.equal((await other.get(id)).title, title);
        assert.equal((await one.get(id)).title, title);
      });
    }

    test('an edit of a version that is no longer the latest is a conflict', async () => {
      const { one, other } = twoOf(server);
      const { id } = await one.create({ url: URL_, title: 'first' });
      await one.sync();
      const shown = await one.get(id);
      await other.sync();
      await other.patch(id, { title: 'theirs' });
      await other.sync();
      await one.sync();
      await one.update({ ...shown, title: 'mine' });
      assert.equal((await one.conflicts())[0].server.title, 'theirs');
    });

    for (const method of ['update', 'patch']) {
      test(`${method}() of a record that was never sent conflicts with versions of others`, async () => {
        const { one, other } = twoOf(server);
        const made = await one.create({ url: URL_, title: 'first' });
        const edit = (title) => {
          const data = { ...made, last_modified: made.last_modified, title };
          return method === 'patch' ? one.patch(made.id, data) : one.update({ ...made, title });
        };
        await one.sync();
        await edit('second');
        assert.deepEqual((await one.sync()).conflicts, []);
        await other.sync();
        await other.patch(made.id, { title: 'theirs' });
        await other.sync();
        await one.sync();
        await edit('mine');
        assert.equal((await one.conflicts())[0].server.title, 'theirs');
      });
    }

    test('a refused change is reported, and sent again until it is discarded', async () => {
      const { one } = twoOf(server);
      await one.create({ url: 'no URL' });
      await one.create({ url: URL_ });
      const { pushed, errors } = await one.sync();
      assert.deepEqual([pushed, errors.map(({ status, local }) => [status, local.url])], [1, [[400, 'no URL']]]);
      await one.resolve(errors[0], 'server');
      assert.deepEqual(await one.pending(), []);
      assert.deepEqual(
        (await one.list()).map(({ url }) => url),
        [URL_],
      );
    });

    test('a taken unique value is reported with its record', async () => {
      const { one, other } = twoOf(server);
      await other.create({ url: URL_ });
      await other.sync();
      await one.create({ url: URL_ });
      const { errors } = await one.sync();
      assert.deepEqual(
        errors.map(({ status, body }) => [status, body.details.field]),
        [[409, 'url']],
      );
    });

    test('changes that make no difference are sent once, and no more', async () => {
      const { one } = twoOf(server);
      const { id } = await one.create({ url: URL_ });
      await one.sync();
      await one.patch(id, { unknown: 'dropped by the schema' });
      assert.equal((await one.sync()).pushed, 1);
      assert.deepEqual([await one.pending(), (await one.sync()).pushed], [[], 0]);
    });

    test('a reset reads everything again, and may keep the changes', async () => {
      const { one } = twoOf(server);
      await one.create({ url: URL_ });
      await one.sync();
      await one.create({ url: `${URL_}new` });
      await one.reset({ keepChanges: true });
      assert.equal((await one.list()).length, 1);
      await one.sync();
      assert.equal((await one.list()).length, 2);
      await one.reset();
      assert.deepEqual(await one.list(), []);
    });

    test('subscribers receive local and remote changes', async () => {
      const { one, other } = twoOf(server);
      const changes = [];
      const end = one.subscribe(({ record, origin }) => changes.push([origin, record?.title]));
      const { id } = await one.create({ url: URL_, title: 'mine', device: 'node' });
      await one.sync();
      await other.sync();
      await other.patch(id, { title: 'theirs' });
      await other.sync();
      await one.sync();
      await one.delete(id);
      end();
      await one.sync();
      await one.create({ url: URL_, title: 'unheard' });
      assert.deepEqual(changes, [
        ['local', 'mine'],
        ['server', 'theirs'],
        ['local', undefined],
      ]);
    });

    test('progress is reported', async () => {
      const client = clientOf(server, newUser());
      const steps = [];
      client.addEventListener('progress', ({ detail: { step, pushed } }) => steps.push([step, pushed]));
      const bookmarks = client.resource('/bookmarks');
      for (let i = 0; i < 5; i++) await bookmarks.create({ url: URL_ + i });
      await bookmarks.sync();
      assert.deepEqual(steps.slice(0, 3), [
        ['pull', 0],
        ['push', 3],
        ['push', 5],
      ]);
    });
  });
}

describe('local records', () => {
  async function articles(store = new cliquet.MemoryStore()) {
    const resource = new cliquet.Client({ server: 'http://127.0.0.1', query, store, ...OFFLINE }).resource('/articles');
    for (const id of 'abcd') await resource.create({ id });
    return resource;
  }

  test('have ids, even if an empty one is given', async () => {
    const { id } = await (await articles()).create({ id: '', title: 'Hello' });
    assert.match(id, /^[-0-9a-f]{36}$/);
  });

  test('must exist to be changed, and must not exist to be created', async () => {
    const resource = await articles();
    await assert.rejects(resource.create({ id: 'a' }), /exists/);
    for (const change of [resource.update({ id: 'z' }), resource.patch('z', {}), resource.delete('z')]) {
      await assert.rejects(change, /\/articles\/z doesn't exist/);
    }
  });

  test('are changed in the order of the calls', async () => {
    const store = new cliquet.MemoryStore();
    const resource = await articles(store);
    const { getAll } = store;
    let pause = 30; // the first operations take longest
    store.getAll = async (prefixes) => {
      await setTimeout(Math.max(0, (pause -= 10)));
      return getAll.call(store, prefixes);
    };
    await Promise.all([1, 2, 3].map((n) => resource.patch('a', { n })));
    const [record] = await resource.filter({ id: 'a' });
    assert.equal(record.n, 3);
  });
});

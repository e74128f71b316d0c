/** What others do at one moment of a synchronization: the histories meet these by chance alone. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryStore } from '../cliquet.js';
import { clientOf, keysOf, Locks, NEVER, newUser, recordsOf, SERVERS } from './support.js';

const BOOKMARK = { url: 'https://www.example.com/', title: 'first', device: 'from the server' };

/** Two browsers of one user; what happens `before` and `after` the requests of the first one. */
function twoOf(server) {
  const user = newUser();
  const store = new MemoryStore();
  const hooks = {};
  const hooked = async (url, options) => {
    const kind = options.method === 'POST' ? 'push' : url.includes('_sort') ? 'pull' : 'get';
    await hooks.before?.(kind);
    const response = await fetch(url, options);
    await hooks.after?.(kind);
    return response;
  };
  const slow = {
    getAll: async (prefixes) => {
      const items = await store.getAll(prefixes);
      await hooks.after?.('read');
      return items;
    },
    write: (changes) => store.write(changes),
  };
  const [one, tab, other] = [{ store: slow, fetch: hooked }, { store }, {}].map((options) =>
    clientOf(server, user, options).resource('/bookmarks'),
  );
  return { user, store, hooks, one, tab, other };
}

/** A hook that acts once, on the first request of a kind. */
function once(kind, action) {
  let isDone = false;
  return async (each) => {
    if (each !== kind || isDone) return;
    isDone = true;
    await action();
  };
}

const lost = () => {
  throw new TypeError('the response is lost');
};

/** A record that both browsers have. */
async function sharing(server) {
  const two = twoOf(server);
  const { id } = await two.one.create(BOOKMARK);
  await two.one.sync();
  await two.other.sync();
  return { id, ...two };
}

for (const [engine, server] of Object.entries(SERVERS)) {
  describe(`on ${engine}`, () => {
    test('a deletion whose response comes after its tombstone leaves nothing in the store', async () => {
      const { id, store, hooks, one, tab } = await sharing(server);
      await one.delete(id);
      hooks.after = once('push', () => tab.sync());
      await one.sync();
      assert.deepEqual(
        (await keysOf(store)).filter((key) => key.includes(id)),
        [],
      );
    });

    test('changes of others between pull and push are not overwritten', async () => {
      for (const edit of ['patch', 'delete']) {
        const { id, hooks, one, other } = await sharing(server);
        await one[edit](id, { title: 'mine' });
        hooks.before = once('push', async () => {
          await other.patch(id, { title: 'theirs' });
          await other.sync();
        });
        const { conflicts, pushed } = await one.sync();
        assert.deepEqual([pushed, conflicts.map(({ server }) => server.title)], [0, ['theirs']]);
      }
    });

    test('records that others delete between pull and push stay deleted', async () => {
      const { id, hooks, one, other } = await sharing(server);
      await one.patch(id, { title: 'mine' });
      hooks.before = once('push', async () => {
        await other.delete(id);
        await other.sync();
      });
      const { conflicts, errors } = await one.sync();
      assert.deepEqual([errors, conflicts.map(({ server }) => server)], [[], [null]]);
    });

    test('a record that both devices delete is not a conflict', async () => {
      const { id, hooks, one, other } = await sharing(server);
      await one.delete(id);
      hooks.before = once('push', async () => {
        await other.delete(id);
        await other.sync();
      });
      const { conflicts, errors } = await one.sync();
      assert.deepEqual([errors, conflicts, await one.pending()], [[], [], []]);
    });

    test('a push whose response is lost is not a conflict', async () => {
      const { user, hooks, one } = twoOf(server);
      const { id } = await one.create(BOOKMARK);
      for (const change of [{}, { title: 'second' }, { title: 'third' }]) {
        if (change.title) await one.patch(id, change);
        hooks.after = once('push', lost);
        await assert.rejects(one.sync(), /lost/);
        assert.deepEqual((await one.sync()).conflicts, []);
        assert.deepEqual(await one.list(), await recordsOf(server, user, '/bookmarks'));
      }
    });

    test('an edit that follows a push whose response is lost is sent', async () => {
      const { id, user, hooks, one } = await sharing(server);
      await one.patch(id, { title: 'second' });
      hooks.after = once('push', lost);
      await assert.rejects(one.sync(), /lost/);
      await one.patch(id, { title: 'third' });
      assert.deepEqual((await one.sync()).conflicts, []);
      assert.equal((await recordsOf(server, user, '/bookmarks'))[0].title, 'third');
    });

    test('an edit that follows a lost response and an edit of others is a conflict', async () => {
      const { id, hooks, one, other } = await sharing(server);
      await one.patch(id, { title: 'second' });
      hooks.after = once('push', lost);
      await assert.rejects(one.sync(), /lost/);
      await one.patch(id, { title: 'mine' });
      await other.sync();
      await other.patch(id, { title: 'theirs' });
      await other.sync();
      assert.deepEqual(
        (await one.sync()).conflicts.map(({ local }) => local.title),
        ['mine'],
      );
    });

    test('an edit during a push is sent after it, and is no conflict', async () => {
      const { id, user, hooks, one } = await sharing(server);
      await one.patch(id, { title: 'second' });
      hooks.before = once('push', () => one.patch(id, { title: 'third' }));
      const { conflicts, pushed } = await one.sync();
      assert.deepEqual([pushed, conflicts], [2, []]);
      assert.equal((await recordsOf(server, user, '/bookmarks'))[0].title, 'third');
    });

    test('a page that received a record before its deletion does not restore it', async () => {
      const { one, tab, other, hooks } = twoOf(server);
      const { id } = await other.create(BOOKMARK);
      await other.sync();
      await tab.sync();
      await other.patch(id, { title: 'second' });
      await other.sync();
      hooks.after = once('pull', async () => {
        await other.delete(id);
        await other.sync();
        await tab.sync();
      });
      await one.sync();
      assert.deepEqual([await one.list(), await tab.list()], [[], []]);
    });

    test('records that others delete between two pages of the first synchronization are removed', async () => {
      const { user, hooks, one, other } = twoOf(server);
      const urls = Array.from({ length: 9 }, (_, number) => `https://www.example.com/${number}`);
      const made = [];
      for (const url of urls) made.push(await other.create({ ...BOOKMARK, url }));
      await other.sync();
      const [first] = (await other.list({ sort: 'last_modified' })).map(({ id }) => id);
      hooks.after = once('pull', async () => {
        await other.delete(first);
        await other.patch(made.find(({ id }) => id !== first).id, { title: 'later' });
        await other.sync();
      });
      await one.sync();
      await one.sync();
      assert.deepEqual(await one.list(), await recordsOf(server, user, '/bookmarks'));
    });

    test('a late response to get does not restore a record whose deletion was synchronized', async () => {
      const { id, user, store, hooks, one, other } = await sharing(server);
      const tab = clientOf(server, user, { store, locks: new Locks().of({ closed: NEVER }) }).resource('/bookmarks');
      await other.patch(id, { title: 'second' });
      await other.sync();
      hooks.after = once('get', async () => {
        await other.delete(id);
        await other.sync();
        await tab.sync();
      });
      assert.equal((await one.get(id)).title, 'second');
      assert.deepEqual(await tab.list(), []);
    });

    test('items that another page removes during a read are read again', async () => {
      const { id, hooks, one, tab } = await sharing(server);
      await tab.patch(id, { title: 'second' });
      hooks.after = once('read', () => tab.sync());
      assert.deepEqual(
        (await one.list()).map(({ title }) => title),
        ['second'],
      );
    });

    test('two pages that push the same changes send them once', async () => {
      const { id, user, hooks, one, tab } = await sharing(server);
      await one.create({ ...BOOKMARK, url: 'https://www.example.com/2' });
      await one.patch(id, { title: 'second' });
      hooks.before = once('push', () => tab.sync());
      assert.deepEqual((await one.sync()).conflicts, []);
      assert.deepEqual(await one.list(), await recordsOf(server, user, '/bookmarks'));
      assert.deepEqual(await tab.pending(), []);
    });
  });
}

/** What stores do to a resource: they fail, are full, and are emptied. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryStore } from '../cliquet.js';
import { clientOf, keysOf, newUser, recordsOf, SERVERS } from './support.js';

const OPERATIONS = ['getAll', 'write'];
const idOf = (number) => `00000000-0000-4000-8000-00000000000${number}`;
const bookmark = (number, title) => ({ id: idOf(number), url: `https://www.example.com/${number}`, title });

/** A store whose operation of some number, counted from `failAt()`, fails as if it were full. */
class FailingStore extends MemoryStore {
  #left = Infinity;

  constructor() {
    super();
    for (const name of OPERATIONS) {
      this[name] = async (...operands) => {
        if (this.#left-- === 0) throw new DOMException('The quota has been exceeded', 'QuotaExceededError');
        return MemoryStore.prototype[name].apply(this, operands);
      };
    }
  }

  failAt(number) {
    this.#left = number;
  }

  get hasFailed() {
    return this.#left < 0;
  }
}

/** Two browsers of one user with three records, all of which are changed on both sides. */
async function prepared(server) {
  const user = newUser();
  const store = new FailingStore();
  const one = clientOf(server, user, { store, conflict: 'client' }).resource('/bookmarks');
  const other = clientOf(server, user).resource('/bookmarks');
  for (const number of [1, 2]) await one.create(bookmark(number, 'first'));
  await one.sync();
  await other.sync();
  await other.patch(idOf(1), { title: 'theirs' });
  await other.delete(idOf(2));
  await other.create(bookmark(3, 'theirs'));
  await other.sync();
  await one.patch(idOf(1), { title: 'mine' });
  await one.patch(idOf(2), { title: 'mine' });
  await one.create(bookmark(4, 'mine'));
  return { user, store, one, other };
}

const titlesOf = (records) => records.map(({ url, title }) => `${url.at(-1)}: ${title}`).sort();

describe('a store that fails', () => {
  const server = SERVERS.sqlite;

  test('at any moment of a synchronization loses nothing', { timeout: 300_000 }, async () => {
    let count = 0;
    for (let hasFailed = true; hasFailed; count++) {
      const { user, store, one } = await prepared(server);
      store.failAt(count);
      await one.sync().catch(({ name }) => assert.equal(name, 'QuotaExceededError'));
      ({ hasFailed } = store);
      store.failAt(Infinity);
      await one.sync();
      const records = await recordsOf(server, user, '/bookmarks');
      const expected = ['1: mine', '2: mine', '3: theirs', '4: mine'];
      assert.deepEqual(titlesOf(records), expected, `operation ${count}`);
      assert.deepEqual(await one.list(), records, `operation ${count}`);
      assert.deepEqual(await one.pending(), [], `operation ${count}`);
    }
    assert.ok(count > 20, `${count}`);
  });

  test('at any moment of an edit keeps the previous record, and the next edit succeeds', async () => {
    let count = 0;
    for (let hasFailed = true; hasFailed; count++) {
      const store = new FailingStore();
      const bookmarks = clientOf(server, newUser(), { store }).resource('/bookmarks');
      await bookmarks.create(bookmark(1, 'first'));
      store.failAt(count);
      const done = await bookmarks.patch(idOf(1), { title: 'second' }).catch(() => null);
      ({ hasFailed } = store);
      store.failAt(Infinity);
      assert.deepEqual(titlesOf(await bookmarks.list()), [done ? '1: second' : '1: first']);
      await bookmarks.patch(idOf(1), { title: 'third' });
      assert.deepEqual(titlesOf(await bookmarks.list()), ['1: third']);
    }
    assert.ok(count > 2, `${count}`);
  });
});

test('a reset waits for the synchronization that runs, which leaves nothing out afterwards', async () => {
  const [user, { sqlite: server }] = [newUser(), SERVERS];
  const store = new MemoryStore();
  const [one, other] = [{ store }, {}].map((options) => clientOf(server, user, options).resource('/bookmarks'));
  await other.create(bookmark(1, 'first'));
  await other.create(bookmark(2, 'first'));
  await other.sync();
  let reset;
  store.write = (changes) => {
    reset ??= one.reset();
    return MemoryStore.prototype.write.call(store, changes);
  };
  await one.sync();
  await reset;
  assert.deepEqual(await one.list(), []);
  await one.sync();
  assert.deepEqual(await one.list(), await recordsOf(server, user, '/bookmarks'));
});

for (const received of ['nothing', 'a record', 'pages']) {
  test(`a store that is emptied during a synchronization is filled by the next one, after ${received}`, async () => {
    const [user, { sqlite: server }] = [newUser(), SERVERS];
    const store = new MemoryStore();
    const removeAll = async () => store.write((await keysOf(store)).map((key) => [key]));
    let isEmptied = false;
    const emptying = async (url, options) => {
      const response = await fetch(url, options);
      if (isEmptied && !url.includes('_token')) await removeAll();
      return response;
    };
    const one = clientOf(server, user, { store, fetch: emptying }).resource('/bookmarks');
    const other = clientOf(server, user).resource('/bookmarks');
    await other.create(bookmark(0, 'first'));
    await other.sync();
    await one.sync();
    for (let i = 1; i <= { nothing: 0, 'a record': 1, pages: 6 }[received]; i++)
      await other.create(bookmark(i, 'second'));
    await other.sync();
    isEmptied = true;
    await one.sync().catch(({ message }) => assert.match(message, /was changed during/));
    isEmptied = false;
    await one.sync();
    assert.deepEqual(await one.list(), await recordsOf(server, user, '/bookmarks'));
  });
}

test('a record that others delete while it is changed here can be kept', async () => {
  const [user, { sqlite: server }] = [newUser(), SERVERS];
  const one = clientOf(server, user).resource('/bookmarks');
  const { id } = await one.create(bookmark(1, 'first'));
  await one.sync();
  await one.patch(id, { title: 'second' });
  await fetch(`${server}/v1/bookmarks`, { method: 'DELETE', headers: user });
  await one.sync({ conflict: 'client' });
  assert.deepEqual(titlesOf(await recordsOf(server, user, '/bookmarks')), ['1: second']);
});

test('repeated changes of a record need no additional room', async () => {
  const [user, { sqlite: server }] = [newUser(), SERVERS];
  const store = new MemoryStore();
  const one = clientOf(server, user, { store }).resource('/bookmarks');
  const { id } = await one.create(bookmark(1, 'first'));
  const sizes = [];
  for (let i = 10; i < 80; i++) {
    await one.patch(id, { title: `title ${i}` });
    await one.sync();
    const items = (await store.getAll([''])).filter(([key]) => !key.includes('|m|')); // checksums differ in length
    sizes.push(JSON.stringify(items).length);
  }
  assert.equal(sizes.at(-1), sizes.at(-10));
});

test('a failing subscriber prevents neither storage nor other notifications', async () => {
  const [user, { sqlite: server }] = [newUser(), SERVERS];
  const one = clientOf(server, user).resource('/bookmarks');
  const notified = [];
  one.subscribe(() => {
    throw new Error('not rendered');
  });
  one.subscribe(({ id }) => notified.push(id));
  const uncaught = [];
  const keep = ({ message }) => uncaught.push(message);
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', keep);
  try {
    await one.create(bookmark(1, 'first'));
    assert.equal((await one.sync()).pushed, 1);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of others) process.on('uncaughtException', listener);
  }
  assert.deepEqual([...new Set(notified), ...new Set(uncaught)], [idOf(1), 'not rendered']);
});

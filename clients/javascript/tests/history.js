/** Random histories of replicas, after which all replicas and the server agree, and no edit is lost. */

import assert from 'node:assert/strict';
import { MemoryStore } from '../cliquet.js';
import { clientOf, keysOf, Locks, newUser, operate, Page, Random, recordsOf, SERVERS, userIdOf } from './support.js';

const STEPS = 14;

const wordsOf = (record) => record?.title.split(' ').filter(Boolean) ?? [];

/** Keep the words of both sides, and a record that only one has deleted. Browsers get the source of this function. */
function merge({ local, server }) {
  if (!local || !server) return local ?? server;
  const words = `${server.title} ${local.title}`.split(' ').filter(Boolean);
  return { ...server, title: [...new Set(words)].join(' ') };
}

/** A browser: a store, and a page or two that use it, some of which follow the changes on the server. */
export class Replica {
  constructor(history, number) {
    this.history = history;
    this.number = number;
    this.isLive = history.isStreamed && history.random.chance(0.4);
    this.store = new MemoryStore();
    this.locks = history.random.chance(0.5) ? new Locks() : undefined;
    this.pages = [this.open(), this.open()];
  }

  open() {
    const { server, user, random, strategy, network } = this.history;
    // The timing of a stream must not change the next steps of a history.
    const own = this.isLive ? new Random(random.below(1e9)) : random;
    const options = { store: this.store, locks: this.locks, random: own, conflict: strategy, fetch: network };
    const page = new Page(server, user, options);
    if (this.isLive) page.follow();
    return page;
  }

  /** The keys of the items in the store. */
  keys() {
    return keysOf(this.store);
  }

  /** Close all pages. */
  async close() {
    for (const page of [...this.pages, this.last]) await page?.close();
  }

  /** One of the pages: a new one if it was closed. */
  page() {
    const index = this.history.random.below(2);
    if (this.pages[index].isClosed) this.pages[index] = this.open();
    return this.pages[index];
  }
}

/** Articles of the user of a history, some of which are shared with other users or with a group of them. */
class Sharing {
  constructor({ server, user, random, network }) {
    Object.assign(this, { server, user, random, ids: [] });
    this.author = clientOf(server, user).resource('/articles');
    this.readers = [0, 1].map(() => {
      const reader = newUser();
      return { user: reader, copy: clientOf(server, reader, { fetch: network }).resource('/articles') };
    });
  }

  async write() {
    const id = this.random.chance(0.5) && this.ids.length ? this.random.pick(this.ids) : crypto.randomUUID();
    if (!this.ids.includes(id)) {
      this.ids.push(id);
      await this.author.create({ id, title: id });
    } else if (this.random.chance(0.6)) await this.author.patch(id, { title: `${this.random.next()}` });
    else {
      this.ids.splice(this.ids.indexOf(id), 1);
      await this.author.delete(id);
    }
    await this.author.sync();
  }

  /** Share an article with a reader or the group, or stop it; add a reader to the group, or remove one. */
  async share() {
    const { user: reader } = this.random.pick(this.readers);
    const [id, owner] = [await userIdOf(this.server, reader), await userIdOf(this.server, this.user)];
    const group = `group:friends:${owner}`;
    const isMore = this.random.chance(0.6);
    if (this.random.chance(0.3)) {
      const method = isMore ? 'add_user_principal' : 'remove_user_principal';
      return operate(this.server, this.user, ['permission', method, [id, group]]);
    }
    if (!this.ids.length) return undefined;
    const method = isMore ? 'add_principal_to_ace' : 'remove_principal_from_ace';
    const place = `/articles/${this.random.pick(this.ids)}`;
    const call = ['permission', method, [place, 'read', this.random.pick([id, group])]];
    return operate(this.server, this.user, call);
  }

  async step() {
    await this.random.pick([() => this.write(), () => this.write(), () => this.share(), () => this.share()])();
    if (this.random.chance(0.5)) await this.random.pick(this.readers).copy.sync();
  }

  async check() {
    for (const { user, copy } of this.readers) {
      await copy.sync();
      assert.deepEqual(await copy.list(), await recordsOf(this.server, user, '/articles'), 'a reader');
    }
  }
}

class History {
  constructor(server, seed, { network = fetch, Replica: Kind = Replica } = {}) {
    this.random = new Random(seed);
    this.network = network;
    this.isStreamed = server === SERVERS.sqlite;
    this.server = server;
    this.user = newUser();
    this.strategy = this.random.pick([merge, merge, merge, undefined, 'server', 'client']);
    this.replicas = [0, 1, 2].slice(0, 2 + this.random.below(2)).map((number) => new Kind(this, number));
    this.words = []; // [id, word] of the edits that a page acknowledged
    this.deleted = new Set();
    this.count = 0;
    this.sharing = new Sharing(this);
  }

  keepsWords() {
    return !this.isRestored && (this.strategy === merge || this.strategy === undefined);
  }

  async edit(page) {
    const word = `w${this.count++}`;
    const [record] = (await page.bookmarks.list()).filter(() => this.random.chance(0.5));
    const kind = this.random.next();
    if (!record || kind < 0.35) {
      const created = await page.bookmarks.create({ url: `https://example.com/${word}`, title: word, device: 'lie' });
      this.words.push([created.id, word]);
    } else if (kind < 0.85) {
      const data = { ...record, title: `${record.title} ${word}`, last_modified: record.last_modified ?? 0 };
      const { id, title, last_modified } = data;
      if (kind < 0.6) await page.bookmarks.update(data);
      else await page.bookmarks.patch(id, { title, last_modified });
      this.words.push([id, word]);
    } else {
      this.deleted.add(record.id);
      await page.bookmarks.delete(record.id);
    }
  }

  async sync(page) {
    await page.bookmarks.sync();
    if (this.strategy) return;
    for (const conflict of await page.bookmarks.conflicts()) {
      await page.bookmarks.resolve(conflict, merge(conflict));
    }
  }

  async look(page) {
    const records = await page.bookmarks.list();
    if (records.length) await page.bookmarks.get(this.random.pick(records).id);
  }

  /** Act as an operator: purge tombstones, restore a backup, or import a record with an old timestamp. */
  async administer() {
    this.place ??= userIdOf(this.server, this.user);
    const place = ['bookmark', await this.place];
    if (this.random.chance(0.4)) return operate(this.server, this.user, ['storage', 'purge_deleted', place]);
    if (this.random.chance(0.3)) return this.restore(place);
    const [id, word] = [crypto.randomUUID(), `w${this.count++}`];
    const fields = { url: `https://example.com/${word}`, title: word, device: '' };
    const record = { ...fields, id, last_modified: 1_000_000 + this.random.below(1_000_000) };
    this.words.push([id, word]);
    return operate(this.server, this.user, ['storage', 'create', [...place, record]]);
  }

  async restore(place) {
    this.isRestored = true;
    this.backup ??= await recordsOf(this.server, this.user, '/bookmarks');
    const creations = this.backup.map((record) => ['storage', 'create', [...place, record]]);
    const flush = ['storage', 'delete_all', place, { with_deleted: false }];
    return operate(this.server, this.user, flush, ...creations);
  }

  /** Expected failures: of the network, and edits of a record that another page has just deleted. */
  async attempt(page, action) {
    try {
      await page.attempt(() => action.call(this, page));
    } catch (error) {
      if (!(error instanceof TypeError) && !/exist/.test(error.message)) throw error;
    }
  }

  async step() {
    const replica = this.random.pick(this.replicas);
    const page = replica.page();
    if (this.random.chance(0.3)) page.closeAfter(1 + this.random.below(30));
    page.failureRate = this.random.chance(0.2) ? 0.2 : 0;
    const together = [this.attempt(page, this.random.chance(0.55) ? this.edit : this.sync)];
    if (this.random.chance(0.3)) together.push(this.attempt(replica.page(), this.sync));
    if (this.random.chance(0.2)) together.push(this.attempt(replica.page(), this.look));
    if (this.random.chance(0.2)) together.push(this.attempt(this.random.pick(this.replicas).page(), this.sync));
    if (this.random.chance(0.1)) together.push(this.administer());
    if (this.random.chance(0.3)) together.push(this.sharing.step());
    await Promise.all(together);
  }

  /** Synchronize, without failures, until nothing is left to be sent. */
  async settle() {
    for (const replica of this.replicas) replica.last = replica.open();
    for (let round = 0; round < 8; round++) {
      const pending = await Promise.all(this.replicas.map(({ last }) => last.bookmarks.pending()));
      for (const { last } of this.replicas) await this.sync(last);
      if (pending.every(({ length }) => length === 0)) return;
    }
    assert.fail('changes are left to be sent');
  }

  async check() {
    const expected = await recordsOf(this.server, this.user, '/bookmarks');
    for (const replica of this.replicas) {
      const { last, locks, number } = replica;
      const { verified } = await last.bookmarks.sync();
      assert.ok(verified || this.network !== fetch, `replica ${number}`);
      assert.deepEqual(await last.bookmarks.list(), expected, `replica ${number}`);
      // A creation that was sent, and deleted here, is remembered for a day: it may still arrive.
      const isRemembered = (key) => key.includes('|c|') && this.deleted.has(key.split('|')[2]);
      const keys = (await replica.keys()).filter((key) => !isRemembered(key));
      if (locks) assert.equal(keys.length, expected.length + 1, `replica ${number} keeps too much: ${keys}`);
    }
    await this.sharing.check();
    if (!this.keepsWords()) return;
    const kept = new Map(expected.map((record) => [record.id, wordsOf(record)]));
    for (const [id, word] of this.words.filter(([id]) => !this.deleted.has(id))) {
      assert.ok(kept.get(id)?.includes(word), `${word} of ${id} is lost`);
    }
  }

  async run() {
    for (let step = 0; step < STEPS; step++) await this.step();
    await this.settle();
    await this.check();
  }

  async close() {
    for (const replica of this.replicas) await replica.close();
  }
}

/** Run the history of a seed. */
export async function run(server, seed, options) {
  const history = new History(server, seed, options);
  try {
    await history.run();
  } finally {
    await history.close();
  }
}

/** Run some histories; that of SEED in the environment is the first one. */
export async function runAll(count, server, options) {
  const first = Number(process.env.SEED ?? 1);
  for (let seed = first; seed < first + count; seed++) {
    await run(server, seed, options).catch((error) => {
      error.message = `SEED=${seed}: ${error.message}`;
      throw error;
    });
  }
}

/** Random histories, after which all replicas and the server agree, and nothing is lost. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryStore } from '../cliquet.js';
import { keysOf, Locks, newUser, operate, Page, Random, recordsOf, SERVERS, userIdOf } from './support.js';

const HISTORIES = Number(process.env.HISTORIES ?? 25);
const FIRST = Number(process.env.SEED ?? 1);
const STEPS = 14;

const wordsOf = (record) => record?.title.split(' ').filter(Boolean) ?? [];

/** Keep the words of both; who is deleted on one side only lives on. */
function merge({ local, server }) {
  if (!local || !server) return local ?? server;
  const words = new Set([...wordsOf(server), ...wordsOf(local)]);
  return { ...server, title: [...words].join(' ') };
}

/** A browser: a store, and a page or two that use it. */
class Replica {
  constructor(history, number) {
    this.history = history;
    this.number = number;
    this.store = new MemoryStore();
    this.locks = history.random.chance(0.5) ? new Locks() : undefined;
    this.pages = [this.open(), this.open()];
  }

  open() {
    const { server, user, random, strategy } = this.history;
    return new Page(server, user, { store: this.store, locks: this.locks, random, conflict: strategy });
  }

  /** One of the pages: a new one if it was closed. */
  page() {
    const index = this.history.random.below(2);
    if (this.pages[index].isClosed) this.pages[index] = this.open();
    return this.pages[index];
  }
}

class History {
  constructor(server, seed) {
    this.random = new Random(seed);
    this.server = server;
    this.user = newUser();
    this.strategy = this.random.pick([merge, merge, merge, undefined, 'server', 'client']);
    this.replicas = [0, 1, 2].slice(0, 2 + this.random.below(2)).map((number) => new Replica(this, number));
    this.words = []; // [id, word] of the edits that a page acknowledged
    this.deleted = new Set();
    this.count = 0;
  }

  keepsWords() {
    return this.strategy === merge || this.strategy === undefined;
  }

  async edit(page) {
    const word = `w${this.count++}`;
    const [record] = (await page.bookmarks.list()).filter(() => this.random.chance(0.5));
    const kind = this.random.next();
    if (!record || kind < 0.35) {
      const made = await page.bookmarks.create({ url: `https://example.com/${word}`, title: word, device: 'lie' });
      this.words.push([made.id, word]);
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

  /** What an operator does: purge tombstones, or import a record with an old timestamp. */
  async administer() {
    this.place ??= userIdOf(this.server, this.user);
    const place = ['bookmark', await this.place];
    if (this.random.chance(0.5)) return operate(this.server, this.user, ['storage', 'purge_deleted', place]);
    const [id, word] = [crypto.randomUUID(), `w${this.count++}`];
    const fields = { url: `https://example.com/${word}`, title: word, device: '' };
    const record = { ...fields, id, last_modified: 1_000_000 + this.random.below(1_000_000) };
    this.words.push([id, word]);
    return operate(this.server, this.user, ['storage', 'create', [...place, record]]);
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
    for (const { last, locks, store, number } of this.replicas) {
      assert.equal((await last.bookmarks.sync()).verified, true, `replica ${number}`);
      assert.deepEqual(await last.bookmarks.list(), expected, `replica ${number}`);
      // A creation that was sent, and deleted here, is remembered for a day: it may still arrive.
      const isRemembered = (key) => key.includes('|c|') && this.deleted.has(key.split('|')[2]);
      const keys = (await keysOf(store)).filter((key) => !isRemembered(key));
      if (locks) assert.equal(keys.length, expected.length + 1, `replica ${number} keeps too much: ${keys}`);
    }
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
}

describe('replicas and server agree after any history', { concurrency: true }, () => {
  for (const [engine, server] of Object.entries(SERVERS)) {
    test(`on ${engine}`, { timeout: 300_000 }, async () => {
      for (let seed = FIRST; seed < FIRST + HISTORIES; seed++) {
        await new History(server, seed).run().catch((error) => {
          error.message = `SEED=${seed} HISTORIES=1, on ${engine}: ${error.message}`;
          throw error;
        });
      }
    });
  }
});

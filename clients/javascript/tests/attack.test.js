/**
 * Random edits, deletions and synchronizations of several devices, over a network with every fault.
 *
 * ATTACKS=300 in the environment runs more histories; SEED=17 ATTACKS=1 repeats one.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { MemoryStore } from '../cliquet.js';
import { Locks, newUser, Page, Random, recordsOf, SERVERS } from './support.js';

const ATTACKS = Number(process.env.ATTACKS ?? 10);
const FIRST = Number(process.env.SEED ?? 1);
const STEPS = 14;

const lost = (what) => Promise.reject(new TypeError(`the ${what} is lost`));
const error = (status) => () => Response.json({ code: status, errno: 201 }, { status });

/** A network between a client and a server, with a rate of faults. */
class Network {
  late = []; // requests that arrive when `deliver()` is called
  rate = 0;

  constructor(random, change) {
    this.random = random;
    this.change = change; // of the options of each request
  }

  fetch = async (url, given) => {
    const options = this.change(given);
    if (!this.random.chance(this.rate)) return fetch(url, options);
    const send = () => fetch(url, { ...options, signal: undefined });
    return this.random.pick(this.faults)(send);
  };

  faults = [
    () => lost('request'),
    async (send) => (await (await send()).text(), lost('response')),
    async (send) => (await setTimeout(this.random.below(30)), send()),
    async (send) => (await (await send()).text(), send()),
    async (send) => this.truncated(await send()),
    (send) => (this.late.push(send), lost('request')),
    (send) => (this.late.push(send), send()),
    error(502),
    error(503),
    error(429),
    () => new Response('<p>Log in</p>', { headers: { 'Content-Type': 'text/html' } }),
  ];

  async truncated(response) {
    const text = await response.text();
    return new Response(text.slice(0, text.length / 2) || null, response);
  }

  async deliver() {
    for (const send of this.late.splice(0)) await (await send()).text();
  }
}

const wordsOf = (record) => record.title.split(' ').filter(Boolean);

/** Deletions win; otherwise the words of both versions are kept. */
function merge({ local, server }) {
  if (!local || !server) return null;
  return { ...server, title: [...new Set([...wordsOf(server), ...wordsOf(local)])].join(' ') };
}

class Attack {
  constructor(seed, change) {
    const random = new Random(seed);
    const user = newUser();
    const network = new Network(random, change);
    Object.assign(this, { random, user, network, words: new Map(), deleted: new Set(), count: 0 });
    this.devices = Array.from({ length: 2 + random.below(3) }, () => {
      const shared = { store: new MemoryStore(), locks: random.chance(0.5) ? new Locks() : undefined, random };
      const options = { ...shared, conflict: merge, fetch: network.fetch };
      return [0, 1].map(() => new Page(SERVERS.sqlite, user, options).bookmarks); // two tabs
    });
  }

  async edit(bookmarks) {
    const word = `w${this.count++}`;
    const records = await bookmarks.list();
    const record = this.random.chance(0.7) && records.length ? this.random.pick(records) : null;
    if (!record) {
      const { id } = await bookmarks.create({ url: `https://example.com/${word}`, title: word });
      this.words.set(id, [word]);
    } else if (this.random.chance(0.7)) {
      const { id, title, last_modified = 0 } = record;
      await bookmarks.patch(id, { title: `${title} ${word}`, last_modified });
      this.words.get(id).push(word);
    } else {
      await bookmarks.delete(record.id);
      this.deleted.add(record.id);
    }
  }

  /** Do something that the network, or another tab, can make fail. */
  async attempt(action) {
    await action().catch((error) => {
      const isExpected = error.status || error instanceof TypeError || error instanceof SyntaxError;
      if (!isExpected && !/exist/.test(error.message)) throw error;
    });
  }

  async step() {
    const tabs = this.random.pick(this.devices);
    const others = this.random.pick(this.devices);
    this.network.rate = this.random.pick([0, 0.3, 0.6]);
    const actions = [() => this.edit(this.random.pick(tabs)), () => this.random.pick(tabs).sync()];
    if (this.random.chance(0.3)) actions.push(() => this.random.pick(tabs).sync());
    if (this.random.chance(0.4)) actions.push(() => this.random.pick(others).sync());
    if (this.random.chance(0.2)) actions.push(() => this.network.deliver());
    if (this.random.chance(0.4)) actions.splice(1, 1); // offline
    await Promise.all(actions.map((action) => this.attempt(action)));
  }

  async run() {
    for (let step = 0; step < STEPS; step++) await this.step();
    this.network.rate = 0;
    for (let round = 0; round < 6; round++) {
      if (round < 3) await this.network.deliver();
      for (const [tab] of this.devices) await tab.sync();
    }
    const expected = await recordsOf(SERVERS.sqlite, this.user, '/bookmarks');
    for (const [tab] of this.devices) {
      assert.deepEqual(await tab.list(), expected, 'the copies differ');
      assert.deepEqual(await tab.pending(), [], 'changes are left');
    }
    const living = [...this.words.keys()].filter((id) => !this.deleted.has(id));
    assert.deepEqual(expected.map(({ id }) => id).sort(), living.sort(), 'records are lost, doubled or brought back');
    for (const record of expected) {
      const missing = this.words.get(record.id).filter((word) => !wordsOf(record).includes(word));
      assert.deepEqual(missing, [], `words of ${record.id} are lost`);
    }
  }
}

test(
  'whatever the network does, nothing is lost, doubled, brought back or different',
  { timeout: 600_000 },
  async () => {
    for (let seed = FIRST; seed < FIRST + ATTACKS; seed++) {
      await new Attack(seed, (options) => options).run().catch((error) => {
        error.message = `SEED=${seed} ATTACKS=1: ${error.message}`;
        throw error;
      });
    }
  },
);

/** The options of a request without the preconditions of the requests in a batch. */
function unconditional({ body, ...options }) {
  if (!body) return options;
  const requests = JSON.parse(body).requests.map(({ headers, ...request }) => request);
  return { ...options, body: JSON.stringify({ requests }) };
}

test('without preconditions, changes are lost, undone or different', { timeout: 600_000 }, async (t) => {
  for (let seed = 23; seed < 60; seed++) {
    t.diagnostic(`SEED=${seed}`);
    const failure = await new Attack(seed, unconditional).run().catch((error) => error);
    if (failure) return assert.equal(failure.code, 'ERR_ASSERTION', failure.message);
  }
  return assert.fail('no history has failed');
});

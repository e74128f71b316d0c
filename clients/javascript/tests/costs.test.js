/** The costs of operations in the store, which do not grow with earlier edits or other records. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryStore } from '../cliquet.js';
import { serve } from './fake.js';

/** A store that counts its operations, the items they read, write or look for, and their characters. */
class MeasuredStore extends MemoryStore {
  operations = 0;
  items = 0;
  characters = 0;

  #count(items, { length } = items) {
    this.operations++;
    this.items += length;
    this.characters += JSON.stringify(items).length;
  }

  async getAll(prefixes) {
    const items = await super.getAll(prefixes);
    this.#count(items, [...prefixes, ...items]);
    return items;
  }

  write(changes) {
    this.#count(changes);
    return super.write(changes);
  }

  /** Run an action, and return the operations, items and characters that it costs. */
  async costOf(action) {
    const before = { ...this };
    await action();
    return ['operations', 'items', 'characters'].map((name) => this[name] - before[name]);
  }
}

/** A resource of a server with the records of some pages, and its store. */
async function measured(t, pages = []) {
  const store = new MeasuredStore();
  const fake = await serve(t, pages, {}, { store, retries: 0 });
  return { ...fake, store };
}

const idsOf = (count) => Array.from({ length: count }, (_, number) => `id-${String(number).padStart(4, '0')}`);

const lost = () => Promise.reject(new TypeError('lost'));

describe('a save costs the same, however often the record was saved before,', () => {
  for (const [name, prepare] of [
    ['if it was never sent', () => {}],
    ['if the server has it', ({ articles }) => articles.sync()],
    [
      'if the response to its push was lost',
      async ({ client, articles }) => {
        const { fetch } = client;
        client.fetch = (url, options) => (options.method === 'POST' ? lost() : fetch(url, options));
        await assert.rejects(articles.sync(), /lost/);
      },
    ],
  ]) {
    test(name, async (t) => {
      const all = await measured(t);
      const { store, articles } = all;
      const save = (number) => articles.patch('a', { text: String(number).padStart(100, '.') });
      await articles.create({ id: 'a', text: '' });
      await prepare(all);
      const costs = [];
      for (let number = 0; number < 100; number++) costs.push(await store.costOf(() => save(number)));
      assert.deepEqual(costs.at(-1), costs[2]);
      assert.ok(Math.max(...costs.map(([operations]) => operations)) <= 2);
      assert.ok((await store.getAll([''])).length <= 4); // the mark, the version, and the changes before and after a push
    });
  }
});

for (const [name, action] of [
  ['a creation', (articles) => articles.create({ id: 'new', title: 'new' })],
  ['a save', (articles) => articles.patch('id-0000', { title: 'new' })],
  ['a deletion', (articles) => articles.delete('id-0000')],
  ['a read of one record', (articles) => articles.get('id-0000')],
]) {
  test(`${name} costs the same, however many records there are`, async (t) => {
    const { store, articles } = await measured(t);
    const costs = [];
    for (const count of [10, 100]) {
      await articles.reset();
      for (const id of idsOf(count)) await articles.create({ id });
      costs.push(await store.costOf(() => action(articles)));
    }
    assert.deepEqual(costs[1], costs[0]);
  });
}

/** The pages of a list of `count` records. */
function pagesOf(count, size) {
  const pages = [];
  for (let start = 1; start <= count; start += size) {
    const data = idsOf(size).map((id, index) => ({ id: `${start}-${id}`, last_modified: start + index }));
    const isLast = start + size > count;
    const headers = { ETag: `"${count}"`, ...(!isLast && { 'Next-Page': `http://any/articles?_token=${start}` }) };
    pages.push([200, headers, { data }]);
  }
  return pages;
}

async function withChanges(t, count) {
  const all = await measured(t);
  for (const id of idsOf(count)) await all.articles.create({ id });
  return all;
}

/** A copy that knows its size, because it has been read. */
async function withPages(t, count) {
  const all = await measured(t, pagesOf(count, 5));
  await all.articles.list();
  return all;
}

for (const [name, prepare, action] of [
  ['the records', withChanges, (articles) => articles.list()],
  ['the pending changes', withChanges, (articles) => articles.pending()],
  ['a push of the changes', withChanges, (articles) => articles.sync()],
  ['a first synchronization', withPages, (articles) => articles.sync()],
]) {
  test(`the cost of ${name} grows in proportion to the number of records`, async (t) => {
    const counts = [];
    for (const count of [50, 100, 200]) {
      const { store, articles } = await prepare(t, count);
      const [, items] = await store.costOf(() => action(articles));
      counts.push(items);
    }
    const [few, more, most] = counts;
    assert.ok(few >= 50 && most - more === 2 * (more - few), `${counts}`);
  });
}

/** Filters and sort orders of local records, and those of the server, which have to agree. */

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { clientOf, newUser, Random, recordsOf, SERVERS } from './support.js';

const OFFLINE = { fetch: () => Promise.reject(new TypeError('fetch failed')) };
const RECORDS = [
  { id: 'a', n: 1, title: 'Hello world', tags: ['x', 1], author: { name: 'Ann' } },
  { id: 'b', n: 2, title: 'hello', tags: [], 'author.name': 'Bob' },
  { id: 'c', n: 10, title: '100% (a.b)', tags: ['x', 'y'], author: ['Ann'] },
  { id: 'd', title: null, author: 'Ann' },
];
const idsOf = (records) => records.map(({ id }) => id).join('');

async function notes() {
  const resource = clientOf('http://127.0.0.1', {}, OFFLINE).resource('/notes');
  for (const record of RECORDS) await resource.create(record);
  return resource;
}

describe('local records', () => {
  for (const [filters, expected] of [
    [{ n: { $eq: 1 } }, 'a'],
    [{ n: 2 }, 'b'],
    [{ tags: { $eq: ['x', 1] } }, 'a'],
    [{ title: null }, 'd'],
    [{ n: null }, ''],
    [{ n: { $in: [1, null] } }, 'a'],
    [{ n: { $ne: null } }, 'abcd'],
    [{ n: { $ne: 1 } }, 'bcd'],
    [{ n: { $lt: 10 } }, 'ab'],
    [{ n: { $lte: 2 } }, 'ab'],
    [{ n: { $gt: 1 } }, 'bc'],
    [{ n: { $gte: 2, $lt: 10 } }, 'b'],
    [{ n: { $gt: '1' } }, ''],
    [{ title: { $lte: null } }, ''],
    [{ n: { $in: [1, 10] } }, 'ac'],
    [{ n: { $nin: [1, 10] } }, 'bd'],
    [{ n: { $has: true } }, 'abc'],
    [{ title: { $has: false } }, ''],
    [{ title: { $like: 'HELLO' } }, 'ab'],
    [{ title: { $like: '*o' } }, 'b'],
    [{ title: { $like: 'he*o*d' } }, 'a'],
    [{ title: { $like: '100% (a.b)*' } }, 'c'],
    [{ title: { $like: '100% (axb)' } }, ''],
    [{ tags: { $contains: ['x', 1] } }, 'a'],
    [{ tags: { $contains: [] } }, 'abc'],
    [{ tags: { $contains_any: ['y', 1] } }, 'ac'],
    [{ 'author.name': 'Ann' }, 'a'],
    [{ 'author.name': { $has: true } }, 'ab'],
    [{ $or: [{ n: 1 }, { n: { $gt: 1 }, title: { $like: 'h' } }] }, 'ab'],
    [{ n: 2, $or: [{ n: 1 }] }, ''],
  ]) {
    test(`are found by ${JSON.stringify(filters)}`, async () => {
      assert.equal(idsOf(await (await notes()).filter(filters, { sort: 'id' })), expected);
    });
  }

  test('are sorted, missing values last, and limited', async () => {
    const resource = await notes();
    assert.equal(idsOf(await resource.list({ sort: 'n' })), 'abcd');
    assert.equal(idsOf(await resource.list({ sort: '-n,+id' })), 'dcba');
    assert.equal(idsOf(await resource.list({ sort: '-author.name,id' })), 'cdba');
    assert.equal(idsOf(await resource.list({ sort: 'n', limit: 2 })), 'ab');
  });

  test('are not found by an unknown operator', async () => {
    const unknown = (await notes()).filter({ n: { $near: 1 } });
    await assert.rejects(unknown, { name: 'TypeError', message: 'Unknown operator $near on n' });
  });
});

/** The prefixes of the protocol. */
const PREFIXES = {
  $eq: '',
  $ne: 'not_',
  $lt: 'lt_',
  $lte: 'max_',
  $gt: 'gt_',
  $gte: 'min_',
  $in: 'in_',
  $nin: 'exclude_',
  $has: 'has_',
  $like: 'like_',
  $contains: 'contains_',
  $contains_any: 'contains_any_',
};
const TEXTS = [
  'a',
  'A b',
  'Straße',
  'STRASSE',
  'ΟΔΟΣ',
  'οδος',
  'ı',
  'İ',
  '\uffee',
  '\u{1f600}',
  '\ud7ff',
  '1',
  '',
  'a*b',
];
const SCALARS = [...TEXTS, 0, 1, 2.5, -3, true, false, null];
const PATTERNS = ['a', 'SS', '*e', 'σ', 'i', '*', 's*e', 'ο*ς', '*a*b*', ''];
const FIELDS = ['x', 'y', 'author.name', 'author.age'];

/** Random records and queries. */
class Queries extends Random {
  value() {
    if (this.chance(0.7)) return this.pick(SCALARS);
    return Array.from({ length: this.below(3) }, () => this.pick(SCALARS));
  }

  record() {
    const fields = ['x', 'y', 'author.name'].filter(() => this.chance(0.7)).map((name) => [name, this.value()]);
    const author = this.chance(0.7) ? { name: this.value(), age: this.value() } : this.value();
    return Object.fromEntries(this.chance(0.6) ? [...fields.slice(0, 2), ['author', author]] : fields);
  }

  operand(name) {
    if (name === '$has') return this.chance(0.5);
    if (name === '$like') return this.pick(PATTERNS);
    if (/in|contains/.test(name)) return [this.pick(SCALARS), this.pick(SCALARS)].slice(this.below(2));
    return this.pick(SCALARS);
  }

  filters() {
    const conditions = Array.from({ length: 1 + this.below(2) }, () => {
      const name = this.pick(Object.keys(PREFIXES));
      return [this.pick(FIELDS), { [name]: this.operand(name) }];
    });
    return Object.fromEntries(conditions);
  }

  sort() {
    return `${this.pick(['', '-'])}${this.pick(FIELDS)},${this.pick(FIELDS)}`;
  }
}

/** Filters as an object of `_or`, in which values have their types. */
const inProtocol = (filters) =>
  Object.fromEntries(
    Object.entries(filters).flatMap(([field, operators]) =>
      Object.entries(operators).map(([name, operand]) => [PREFIXES[name] + field, operand]),
    ),
  );

describe('a query', () => {
  const user = newUser();
  const random = new Queries(1);
  const resource = clientOf(SERVERS.sqlite, user).resource('/notes');

  before(async () => {
    for (let number = 0; number < 14; number++) await resource.create(random.record());
    assert.deepEqual((await resource.sync()).errors, []);
  });

  test('has the same results as on the server', async () => {
    for (let number = 0; number < 60; number++) {
      const [$or, sort] = [[random.filters(), random.filters()].slice(random.below(2)), random.sort()];
      const query = new URLSearchParams({ _or: JSON.stringify($or.map(inProtocol)), _sort: sort });
      const expected = await recordsOf(SERVERS.sqlite, user, '/notes', `${query}&_limit=`);
      assert.deepEqual(await resource.filter({ $or }, { sort }), expected, JSON.stringify([$or, sort]));
    }
  });
});

/** The module `cliquet/query`: filters and sort orders, with the meaning that they have in the protocol. */

import { compare, isObject, own, same } from './values.js';

/** Ranks of types in the order of values; ranges only contain values of the first three. */
const RANKS = { string: 1, number: 2, boolean: 3, undefined: 12 };

/** The rank of a value's type, and a key that orders the values of this type. */
function keyOf(value) {
  const rank = RANKS[typeof value] ?? (value ? (Array.isArray(value) ? 4 : 8) : 0);
  // Strings are in the order of code points, in which surrogates follow all other units.
  const key =
    rank === 1 ? value.replace(/[\ue000-\uffff]/g, '\ud7ff$&') : isObject(value) ? JSON.stringify(value) : value;
  return [rank, key];
}

const compareKeys = (a, b) => a[0] - b[0] || compare(a[1], b[1]);

/** The value of a field; dots select nested fields of objects, unless a field has the whole name. */
function valueAt(record, name) {
  const nested = (value, field) => (isObject(value) && !Array.isArray(value) ? own(value, field) : undefined);
  const value = own(record, name);
  return value === undefined ? name.split('.').reduce(nested, record) : value;
}

/** A string without regard to case: Unicode's case folding, as far as this engine knows it. */
const folded = (text) =>
  text
    .toLowerCase()
    .replace(/[^ı]+/g, (part) => part.toUpperCase().toLowerCase())
    .replace(/ς/g, 'σ');

/** Return a test of whether a value is a string that contains a string, or, with `*`, matches the whole pattern. */
function like(pattern) {
  const parts = folded(pattern).split('*');
  const last = parts.pop();
  return (value) => {
    if (typeof value !== 'string') return false;
    const text = folded(value);
    if (!parts.length) return text.includes(last);
    let end = 0;
    const isNext = (part, index) => {
      const place = text.indexOf(part, end);
      end = place + part.length;
      return index ? place >= 0 : !place;
    };
    return parts.every(isNext) && text.length - last.length >= end && text.endsWith(last);
  };
}

/** Whether a value has the operand's type, and compares to it as required. */
const range = (holds) => (operand) => {
  const bound = keyOf(operand);
  return (value) => {
    const key = keyOf(value);
    return key[0] === bound[0] && (key[0] & 3) > 0 && holds(compareKeys(key, bound));
  };
};

const isAny = (values) => (value) => values.some((each) => same(value, each));

/** Whether a value is an array that contains some elements. */
const contains = (method) => (operands) => (value) =>
  Array.isArray(value) && operands[method]((operand) => isAny(value)(operand));

const OPERATORS = {
  $eq: (operand) => (value) => same(value, operand),
  $ne: (operand) => (value) => !same(value, operand),
  $lt: range((sign) => sign < 0),
  $lte: range((sign) => sign <= 0),
  $gt: range((sign) => sign > 0),
  $gte: range((sign) => sign >= 0),
  $in: isAny,
  $nin: (operands) => (value) => !isAny(operands)(value),
  $has: (operand) => (value) => (value !== undefined) === operand,
  $like: like,
  $contains: contains('every'),
  $contains_any: contains('some'),
};

/** Whether a record matches filters; a bare value stands for `$eq`. */
function matcherOf(filters) {
  const conditions = Object.entries(filters).flatMap(([field, filter]) => {
    if (field === '$or') {
      const alternatives = filter.map(matcherOf);
      return (record) => alternatives.some((matches) => matches(record));
    }
    return Object.entries(isObject(filter) ? filter : { $eq: filter }).map(([name, operand]) => {
      if (!Object.hasOwn(OPERATORS, name)) throw new TypeError(`Unknown operator ${name} on ${field}`);
      const holds = OPERATORS[name](operand);
      return (record) => holds(valueAt(record, field));
    });
  });
  return (record) => conditions.every((holds) => holds(record));
}

/** Records in an order, as in the protocol (`a,-b`), then the latest first. */
function sorted(records, sort) {
  const fields = [...new Set(`${sort},-last_modified`.split(','))];
  const signs = fields.map((field) => (field[0] === '-' ? -1 : 1));
  const names = fields.map((field) => field.replace(/^[-+]/, ''));
  const rows = records.map((record) => ({ record, keys: names.map((name) => keyOf(valueAt(record, name))) }));
  rows.sort((a, b) => {
    let [index, result] = [0, 0];
    for (; !result && index < signs.length; index++) result = signs[index] * compareKeys(a.keys[index], b.keys[index]);
    return result;
  });
  return rows.map(({ record }) => record);
}

/** The records that match filters, sorted: the option `query` of a client. */
export function query(records, { filters = {}, sort = '-last_modified', limit }) {
  return sorted(records.filter(matcherOf(filters)), sort).slice(0, limit);
}

/** Filters and sort orders, as in the protocol. */

import { compare, isObject, own, same } from './values.js';

/** Order values of any type: those of one type together, undefined and null last. */
const order = (a, b) => compare(typeof (a ?? undefined), typeof (b ?? undefined)) || compare(a, b);

/** Whether values of one type are in some order. */
const inOrder = (holds) => (a, b) => a != null && typeof a === typeof b && holds(compare(a, b));

/** Whether a text matches a pattern in whatever case: `%` is any text, `_` any character. */
function isLike(text, pattern) {
  const source = pattern
    .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replace(/%/g, '.*')
    .replace(/_/g, '.');
  return new RegExp(`^${source}$`, 'isu').test(text ?? '');
}

const OPERATORS = {
  $eq: same,
  $ne: (a, b) => !same(a, b),
  $lt: inOrder((sign) => sign < 0),
  $lte: inOrder((sign) => sign <= 0),
  $gt: inOrder((sign) => sign > 0),
  $gte: inOrder((sign) => sign >= 0),
  $in: (a, b) => b.some((item) => same(a, item)),
  $nin: (a, b) => !OPERATORS.$in(a, b),
  $like: isLike,
};

/** The conditions that records must meet; a bare value stands for `$eq`. */
export function conditionsOf(filters) {
  return Object.entries(filters).flatMap(([field, filter]) =>
    Object.entries(isObject(filter) ? filter : { $eq: filter }).map(([name, operand]) => {
      if (!Object.hasOwn(OPERATORS, name)) throw new TypeError(`Unknown operator ${name} on ${field}`);
      return (record) => OPERATORS[name](own(record, field), operand);
    }),
  );
}

/** The comparison of records that is written as in the protocol, `a,-b`. */
export function comparisonOf(sort) {
  const fields = sort.split(',').map((text) => [text.replace(/^[-+]/, ''), text[0] === '-' ? -1 : 1]);
  return (a, b) => fields.reduce((result, [field, sign]) => result || sign * order(own(a, field), own(b, field)), 0);
}

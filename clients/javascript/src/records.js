/** Records: the versions of the server, and the changes of this client. */

import { compare, same } from './values.js';

/** The fields in which two records differ, null being one without fields. */
const differing = (a, b) =>
  Object.keys({ ...a, ...b }).filter((field) => field !== 'last_modified' && !same(a?.[field], b?.[field]));

/** Whether two records differ, or one of them is none. */
export const differ = (a, b) => !a !== !b || differing(a, b).length > 0;

/** What the server will read of a record. */
export const plain = (record) => JSON.parse(JSON.stringify({ ...record, last_modified: undefined }));

/** What a change makes of a record, of which it may not have known; null stands for none. */
export function apply(record, { before, after }) {
  if (!record || !before || !after) return after;
  const result = { ...record };
  for (const field of differing(before, after)) {
    if (field in after) result[field] = after[field];
    else delete result[field];
  }
  return result;
}

/** One change that does what several do. */
function net(changes) {
  const before = changes[0]?.before;
  return { before, after: changes.reduce(apply, before) };
}

/** Whether the server has made a change; it may have put a default in a field that is removed. */
function has(server, { before, after }) {
  const isMade = (field) =>
    server && (field in after ? same(server[field], after[field]) : !same(server[field], before[field]));
  return after ? differing(before, after).every(isMade) : !server;
}

/** Whether the server has what a change was made on, in the fields that it changes. */
const suits = (server, { before, after }) =>
  differing(before, after).every((field) => same(server?.[field], before?.[field]));

/**
 * The changes to send when the server has the first ones already, for their push succeeded and its
 * answer was lost; undefined if it has none, or if others have changed the record after that.
 */
export function unsent({ changes, server }) {
  for (let count = changes.length; count > 0; count--) {
    const rest = changes.slice(count);
    if (has(server, net(changes.slice(0, count))) && suits(server, net(rest))) return rest;
  }
}

export const byNumber = (a, b) => compare(a.number, b.number);

/** What the items of a record say. */
export function entryOf(id, items) {
  const done = items.flatMap((item) => item.done ?? []);
  const [latest] = items.filter((item) => item.record).sort((a, b) => b.record.last_modified - a.record.last_modified);
  const timestamp = latest?.record.last_modified ?? 0;
  const server = latest && !latest.record.deleted ? latest.record : null;
  const changes = items.filter(({ number }) => number && !done.includes(number)).sort(byNumber);
  const local = changes.reduce(apply, server);
  const conflict = changes.some(({ base }) => base !== timestamp && !latest?.from?.includes(base));
  const pending = changes.length > 0 && (conflict || differ(local, server));
  return { id, items, latest, timestamp, server, changes, local, conflict, pending };
}

export const numbersOf = (changes) => changes.map(({ number }) => number);

/** What stands for a record that the server no longer has, until it tells when it was deleted. */
export const tombstoneOf = ({ id, timestamp }) => ({ id, last_modified: timestamp + 1, deleted: true });

/** The request of a batch that makes the server's record what it is here. */
export function requestOf(path, { id, server, local, timestamp }) {
  const request = {
    method: 'DELETE',
    path: `${path}/${encodeURIComponent(id)}`,
    headers: server ? { 'If-Match': `"${timestamp}"` } : { 'If-None-Match': '*' },
  };
  if (!local) return request;
  const fields = differing(server, local);
  // Numbers that JavaScript can't keep exactly stay as they are where only other fields are sent.
  const isWhole = !server || fields.some((field) => !(field in local));
  const data = isWhole ? plain(local) : Object.fromEntries(fields.map((field) => [field, local[field]]));
  return { ...request, method: isWhole ? 'PUT' : 'PATCH', body: { data } };
}

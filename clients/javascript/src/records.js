/**
 * Records: what their items in the store mean, and the items that replace these after an edit or a response.
 *
 * The items of a record are never changed, only replaced:
 *
 * - a version, `{record, from, listed}`: the server's record, or its tombstone. `from` are the timestamps of the versions
 *   before it, if only pushes from here came between. `listed` versions come from a list; the others are still to come.
 * - a change, `{number, base, before, after, sent}`: made here on the version with the timestamp `base`, 0 without one.
 *   `sent` is when it was first sent, in milliseconds.
 */

import { isObject, own, same } from './values.js';

const REMEMBERED = 50; // pushes of a record: a change of what was there before them is a conflict
const DAY = 24 * 60 * 60 * 1000;

/** The fields in which two records differ, null being one without fields. */
export const differing = (a, b) =>
  Object.keys({ ...a, ...b }).filter((field) => field !== 'last_modified' && !same(own(a, field), own(b, field)));

/** Whether two records differ, or only one of them is null. */
export const differ = (a, b) => a !== b && differing(a, b).length > 0;

/** The record as the server will read it. */
export const plain = (record) => JSON.parse(JSON.stringify({ ...record, last_modified: undefined }));

/** A tombstone has no other fields: an application's own field can be named `deleted` too. */
export const isTombstone = (record) => record.deleted === true && Object.keys(record).length < 4;

/** A record with only the fields in a list, or only the others. */
export const picked = (record, fields, areIn = true) =>
  Object.fromEntries(Object.entries({ ...record }).filter(([field]) => fields.includes(field) === areIn));

/** The record after a change, which need not have been made on it; null stands for none. */
export function apply(record, { before, after }) {
  if (!record || !before || !after) return after;
  const changed = differing(before, after);
  return { ...picked(record, changed, false), ...picked(after, changed) };
}

/** One change that does what several do. */
function net(changes) {
  const before = changes[0]?.before;
  return { before, after: changes.reduce(apply, before) };
}

/** Equal for values that servers often normalize to one: case, spaces, Unicode forms, numbers in strings. */
const loose = (value) => (isObject(value) ? value : String(value).normalize('NFKC').replace(/\s/g, '').toLowerCase());

/**
 * The changes to send when the server has the first ones already, for their push succeeded and its
 * response was lost; undefined if it has none, or if others have changed the record after that.
 */
export function unsent({ changes, server }) {
  const { before, after } = net(changes);
  for (let count = changes.length; count; count--) {
    const { after: made } = net(changes.slice(0, count));
    const isMade = (field) => {
      const [a, b, c] = [server, made, before].map((record) => own(record, field));
      // The server may have normalized a value that was sent, and put a default in a field that was removed.
      const isSimilar = b === undefined || (changes[count - 1].sent && loose(a) === loose(b));
      return same(a, b) || (isSimilar && !same(a, c) && !same(b, c));
    };
    const isHere = [...differing(before, made), ...differing(made, after)].every(isMade);
    if (!server === !made && isHere) return changes.slice(count);
  }
}

export const byNumber = (a, b) => (a.number > b.number ? 1 : -1);

/** The state of a record, from its items. */
export function entryOf(id, items = []) {
  const [latest] = items.filter(({ record }) => record).sort((a, b) => b.record.last_modified - a.record.last_modified);
  const timestamp = latest?.record.last_modified ?? 0;
  const server = latest && !isTombstone(latest.record) ? latest.record : null;
  const changes = items.filter(({ number }) => number).sort(byNumber);
  const local = changes.reduce(apply, server);
  const conflict = changes.some(({ base }) => base !== timestamp && !latest?.from?.includes(base));
  const pending = !!changes.length && (conflict || differ(local, server));
  return { id, _items: items, _latest: latest, timestamp, server, changes, local, conflict, pending };
}

/** The entry without the items that no longer count. A change that was sent can still arrive, for some time. */
export function tidy({ id, _latest, server, changes, pending }) {
  const kept = pending || changes.some(({ sent }) => sent > Date.now() - DAY) ? changes : [];
  // A tombstone that the list lacks distinguishes this record from one that was never stored.
  const isOver = _latest?.listed && !server && !kept.length;
  return entryOf(id, isOver ? [] : [_latest, ...kept].filter(Boolean));
}

/** The entry with another version, or without one: its changes then become conflicts. */
export const withOnly = ({ id, changes, pending }, version) =>
  tidy(entryOf(id, [version, ...(version || pending ? changes : [])].filter(Boolean)));

/** The items that are not those of some changes. */
function without(items, changes) {
  const numbers = changes.map(({ number }) => number);
  return items.filter(({ number }) => !numbers.includes(number));
}

/** The entry without some changes, and with other items, which come before those with the same key. */
export const replaced = ({ id, _items }, done, ...added) => tidy(entryOf(id, [...added, ...without(_items, done)]));

/** The entry with a version, if it is another one, that contains some changes. */
export const withVersion = (entry, version, done) =>
  replaced(entry, done, ...(entry._latest?.key === version.key && entry.server ? [] : [version]));

/** The entry with a change in place of others, and of those that were made on the same version just before, and never sent. */
export function withChange(entry, change, done) {
  const changes = without(entry.changes, done);
  const merged = changes.slice(changes.findLastIndex(({ sent, base }) => sent || base !== change.base) + 1);
  const { before, after } = net([...merged, change]);
  // A deletion needs nothing else, and the store might be full.
  return replaced(entry, [...done, ...merged], { ...change, before: after && before, after });
}

/** The entry with changes that are sent. */
export function sealed(entry) {
  const seal = (item) => (item.number && !item.sent ? { ...item, sent: Date.now(), key: `${item.key}|s` } : item);
  return entryOf(entry.id, entry._items.map(seal));
}

/** The version that a push of the changes of an entry leads to. */
export const pushedVersion = ({ _latest, timestamp, changes }, record) => ({
  record,
  _done: changes,
  from: [...(_latest?.from ?? []), timestamp].slice(-REMEMBERED),
});

/** The writes that replace the items of an entry by those of another. */
export function writesOf(entry, next) {
  const missing = (a, b) => a._items.filter((item) => !b._items.includes(item));
  return [
    ...missing(entry, next).map(({ key }) => [key]),
    ...missing(next, entry).map(({ key, ...item }) => [key, item]),
  ];
}

/** The record that a choice between two versions stands for. */
export const chosen = ({ id, local, server }, choice) =>
  choice === 'server' ? server : choice === 'client' ? local : choice && plain({ ...choice, id });

/** The tombstone of a record that the server no longer has, until the list gives the true one. */
export const tombstoneOf = ({ id, timestamp }) => ({ id, last_modified: timestamp + 1, deleted: true });

/**
 * The request of a batch that changes the server's record into the local one.
 *
 * `If-Match` compares tombstones too. Therefore a creation that is delivered late, or twice, never brings a record back
 * that was deleted since.
 */
export function requestOf(path, { id, server, local, timestamp }) {
  const request = {
    method: 'DELETE',
    path: `${path}/${encodeURIComponent(id)}`,
    headers: { 'If-Match': `"${timestamp}"` },
  };
  if (!local) return request;
  const fields = differing(server, local);
  // Numbers that JavaScript can't represent exactly remain as they are if only other fields are sent.
  const isWhole = !server || fields.some((field) => !Object.hasOwn(local, field));
  const data = isWhole ? plain(local) : picked(local, fields);
  return { ...request, method: isWhole ? 'PUT' : 'PATCH', body: { data } };
}

/**
 * The items of one resource in a store:
 *
 *     {prefix}v|{id}|{timestamp}          a version
 *     {prefix}c|{id}|{number}             a change; with `|s` after it once it is sent
 *     {prefix}m||{timestamp}|{checksum}   all versions up to this timestamp, the mark, are here; the checksum of all
 *
 * A write that removes an item fails if another page has removed it before, and is computed again. So pages that share
 * a store can write at once, and a page can be closed at any moment.
 */

import { EMPTY, updated } from './checksum.js';
import { differ, entryOf, isTombstone, replaced, withChange, withVersion, writesOf } from './records.js';

const PREFIX_COST = 5; // reading one record by its prefixes takes as long as reading five in one range

const isIntact = (item) => item?.record?.last_modified >= 0 || (item?.number && typeof item.after === 'object');

/** The copy of the records at one path. */
export class Copy {
  _damaged = new Set(); // ids
  _clock = 0;
  _size = 2500; // number of records; a guess until all are read

  constructor(client, path) {
    this._client = client;
    this._path = path;
    this._prefix = `${client._scope}${path.slice(1)}|`;
  }

  _emit(type, detail) {
    this._client._emit(type, { path: this._path, ...detail });
  }

  _key(kind, id, number) {
    return `${this._prefix}${kind}|${encodeURIComponent(id)}|${number}`;
  }

  async _keys(kind) {
    return (await this._client.store.getAll([this._prefix + kind])).map(([key]) => key);
  }

  _id(key) {
    return decodeURIComponent(key.slice(this._prefix.length).split('|')[1]);
  }

  /** The entries at some prefixes of keys, by id. */
  async _load(prefixes) {
    const items = new Map();
    for (const [key, value] of await this._client.store.getAll(prefixes)) {
      const id = this._id(key);
      const isGood = isIntact(value);
      items.set(id, [...(items.get(id) ?? []), Object.assign(isGood ? value : {}, { key })]);
      if (!isGood) {
        // Something else has changed it. The next synchronization fetches the record again.
        this._damaged.add(id);
        this._emit('damaged', { id });
      }
    }
    for (const [id, each] of items) items.set(id, entryOf(id, each));
    return items;
  }

  async _all() {
    const entries = await this._load([`${this._prefix}v|`, `${this._prefix}c|`]);
    this._size = entries.size;
    return entries;
  }

  /** The entries of some records, in the order of their ids. */
  async _entries(ids) {
    const prefixes = ids.flatMap((id) => [this._key('v', id, ''), this._key('c', id, '')]);
    const entries = await (ids.length * PREFIX_COST > this._size ? this._all() : this._load(prefixes));
    return ids.map((id) => entries.get(id) ?? entryOf(id));
  }

  /** The entries of the records that were changed here. */
  async _changed() {
    const ids = (await this._keys('c|')).map((key) => this._id(key));
    return this._entries([...new Set(ids)]);
  }

  /** The timestamp up to which all versions are here, 0 at first, and the checksum of all that are here. */
  async _mark() {
    for (;;) {
      const keys = await this._keys('m||');
      const marks = keys.map((key) => key.split('|').slice(-2));
      const [[since, checksum] = []] = marks.sort((a, b) => b[0] - a[0]);
      if (since) return { keys, since: +since, checksum };
      await this._client.store.write([this._markItem(0, EMPTY)]);
    }
  }

  _markItem(since, checksum) {
    return [`${this._prefix}m||${since}|${checksum}`, true];
  }

  /** The item of a version. */
  _version(record, listed) {
    return { record, listed, key: this._key('v', record.id, record.last_modified) };
  }

  /** Replace the entries of some records by those that a function returns. */
  async _update(ids, change) {
    for (;;) {
      const entries = await this._entries(ids);
      const next = change(entries);
      if (await this._replace(entries, next)) return next;
    }
  }

  /** Replace entries, and the mark if it is given, after changes of the server. */
  async _replace(entries, next, mark, checksum, since = mark?.since) {
    const writes = entries.flatMap((entry, index) => writesOf(entry, next[index]));
    if (mark) writes.push(...mark.keys.map((key) => [key]), this._markItem(since, checksum));
    if (writes.length && !(await this._client.store.write(writes))) return false;
    const origin = mark ? 'server' : 'local';
    const news = next.filter(({ local }, index) => differ(local, entries[index].local));
    if (news.length) this._notify(news.map(({ id, local }) => ({ id, record: local, origin })));
    return true;
  }

  /**
   * Store versions, and return how many are new, and the checksum of all.
   *
   * Those of a list come with the mark when it was requested, and the next one. If another page has stored a later list,
   * nothing is stored, and the result is undefined. Others are stored if they are later than the mark, for what isn't may
   * be deleted since, or if they are tombstones or replace damaged items.
   */
  async _keep(versions, since, until) {
    for (;;) {
      const mark = await this._mark();
      const isListed = since >= 0;
      if (isListed && since !== mark.since) return undefined;
      const entries = await this._entries(versions.map(({ record }) => record.id));
      const next = versions.map(({ record, from, _done: done = [] }, index) => {
        const { id, last_modified } = record;
        const isOld = !isListed && last_modified <= mark.since;
        const isGone = isOld && isTombstone(record); // no later list contains it
        const isKnown = isOld && !isGone && !this._damaged.has(id);
        const version = { ...this._version(record, isListed || isGone), from };
        return isKnown ? replaced(entries[index], done) : withVersion(entries[index], version, done);
      });
      const checksum = updated(mark.checksum, entries, next);
      if (await this._replace(entries, next, mark, checksum, until)) {
        return { count: next.filter(({ _latest }, index) => _latest !== entries[index]._latest).length, checksum };
      }
    }
  }

  /** An entry with a change in place of others; its number is above all those of the record. */
  _edited(entry, change, done) {
    this._clock = Math.max(Date.now(), 1 + this._clock, 1 + (parseInt(entry.changes.at(-1)?.number) || 0));
    const number = `${this._clock}.${crypto.randomUUID()}`;
    return withChange(entry, { ...change, number, key: this._key('c', entry.id, number) }, done);
  }

  /** End a conflict, or give up changes, with a record or null; the version is the one that the caller has seen. */
  async _resolve({ id, server, timestamp, changes }, after) {
    const change = { base: timestamp, before: server, after };
    const [next] = await this._update([id], ([entry]) => [this._edited(entry, change, changes)]);
    return next;
  }

  /**
   * Replace all entries, and those of other records, by those that a function returns.
   *
   * @returns the checksum of all
   */
  async _rewrite(change, ids = [], until) {
    for (;;) {
      const mark = await this._mark();
      const all = await this._all();
      for (const id of ids) if (!all.has(id)) all.set(id, entryOf(id));
      const entries = [...all.values()];
      const next = entries.map(change);
      const checksum = updated(EMPTY, [], next);
      if (await this._replace(entries, next, mark, checksum, until)) return checksum;
    }
  }

  /** Remove the server's records, so that all are read again, and the changes unless they are kept. */
  _forget(keepChanges) {
    return this._rewrite(({ id, changes }) => entryOf(id, keepChanges ? changes : []), [], 0);
  }
}

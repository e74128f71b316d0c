/** Synchronization: pulling the versions of the server, and pushing changes. */

import { Copy } from './copy.js';
import { isMissing, isTemporary } from './errors.js';
import {
  apply,
  byNumber,
  chosen,
  isTombstone,
  pushedVersion,
  requestOf,
  sealed,
  tidy,
  tombstoneOf,
  unsent,
  withOnly,
} from './records.js';

const ROUNDS = 10; // of pushing what was changed, here or elsewhere, during a synchronization
const HEADERS = ['ETag', 'Total-Records', 'Next-Page', 'Checksum']; // of lists
const LONGEST_LIST = 1500; // maximum length of the ids in a URL, which servers limit
const BATCH_SIZE = 25; // if the server does not report batch_max_requests
const FRUITLESS = 24; // records that the server refuses, without a success, before it is left alone

/** Whether the records in a request can be the reason of an error. */
const isRefusal = ({ status }) => status >= 400 && !isTemporary(status) && ![401, 410].includes(status);

const isFull = ({ name }) => name === 'QuotaExceededError';

const isReady = ({ pending, conflict }) => pending && !conflict;

/** A copy that can be synchronized; by one synchronization at a time. */
export class SynchronizedCopy extends Copy {
  _refused = new Set(); // ids of the records that couldn't be sent since the last complete synchronization began

  /** Pull, push, and pull the resulting versions. */
  async _run(options) {
    this._options = options; // with those of this synchronization only: _page of a stream, _isRepaired, _hasRoom
    this._result = { pulled: 0, pushed: 0, errors: [], conflicts: [] };
    for (const id of this._damaged) {
      await this.get(id);
      this._damaged.delete(id); // what isn't repaired is found again
    }
    let failure;
    for (let round = 0; round <= ROUNDS && (!round || (await this._push())); round++) failure = await this._pull();
    if (failure) throw failure;
    const ids = (await this._changed()).map(({ id }) => id);
    const entries = await this._update(ids, (current) => current.map(tidy));
    this._result.conflicts = entries.filter((entry) => entry.conflict);
    this._refused = new Set(this._result.errors.map(({ id }) => id));
    return this._result;
  }

  /**
   * Store the changes; remove all records if nothing is shared with the user any longer.
   *
   * Return the error of a full store, because local changes are sent anyway.
   */
  async _pull() {
    try {
      await this._walk(ROUNDS);
    } catch (error) {
      if (isFull(error)) return error;
      if (error.body?.errno !== 121) throw error;
      // Records that were created here are kept if the user has never been able to read the list.
      if ((await this._mark()).since) await this._forget(true);
    }
    return undefined;
  }

  async _walk(attempts) {
    if (!attempts) throw new Error('Store changed');
    let { since, checksum } = await this._mark();
    const query = `&_checksum=${checksum}` + (since ? `&_since=${since}` : '');
    const headers = since && { 'If-None-Match': `"${since}"` };
    const { _page: given } = this._options;
    const isNext = given?.since <= since && since <= given.timestamp;
    this._options._page = undefined;
    let end;
    for await (const page of isNext ? [given] : this._pages(query, headers)) {
      const { records, timestamp, _isLast } = page;
      end ??= timestamp; // the other pages of a first walk don't list the deletions after that
      if (timestamp && timestamp < since) {
        // The server was restored to an older state.
        await this._forget(true);
        return this._walk(attempts - 1);
      }
      if (records) {
        const mark = _isLast ? end : Math.min(end, records.at(-1).last_modified);
        const versions = records.map((record) => ({ record }));
        const kept = await this._keep(versions, since, mark).catch((error) => this._makeRoom(error, since));
        if (!kept) return this._walk(attempts - 1); // another page has changed the store, or there is room now
        ({ checksum } = kept);
        since = mark;
        this._result.pulled += kept.count;
        this._emit('progress', { step: 'pull', ...this._result });
      }
      // Otherwise, the next walk lists what has changed since the first page.
      if (_isLast && page.checksum) await this._verify(page.checksum === checksum, timestamp === end);
    }
    return undefined;
  }

  /** Remove what was deleted since the mark, once in a synchronization, if the store is full. */
  async _makeRoom(error, since) {
    if (!isFull(error) || this._options._hasRoom) throw error;
    this._options._hasRoom = true;
    for await (const { records } of this._pages(`&_since=${since}&deleted=true`)) {
      await this._keep(records.map((record) => ({ record })));
    }
  }

  /** The pages of a list of records in the order of their timestamps; without records if the response is 304. */
  async *_pages(parameters, headers) {
    const { signal } = this._options;
    let query = `?_sort=last_modified${parameters}`;
    let count = 0;
    let position = 0;
    while (query) {
      const page = await this._client.request('GET', this._path + query, { headers, signal });
      const [tag, total, next, checksum] = HEADERS.map((name) => page.headers.get(name));
      const records = page.body?.data;
      count += records?.filter((record) => !isTombstone(record)).length;
      // Each page must be later than the one before, or the loop might never end. With a checksum, records that others
      // insert before the last page are noticed.
      const isRight = next
        ? position < (position = records?.at(-1)?.last_modified)
        : total <= count || (position && checksum);
      // A proxy or CORS can hide headers, without which records or deletions would be missing.
      if (page.status !== 304 && !(records && tag && total && isRight))
        throw new Error(`Incomplete list: ${this._path}, ${count} of ${total}, ETag ${tag}, Next-Page ${next}`);
      yield { records, checksum, timestamp: +/\d+/.exec(tag), _isLast: !next }; // proxies can weaken the tag
      query = next && new URL(next).search; // whatever host a proxy makes it name
      headers = {};
    }
  }

  /** Repair the copy, once in a synchronization, unless it is known to be what the user can read. */
  async _verify(isRight, canRepair) {
    const verified = isRight || (canRepair && !this._options._isRepaired && (await this._repair()));
    this._result.verified = verified;
    if (!verified && canRepair) this._emit('unverified');
  }

  /** Compare the timestamps of all records with the server's, and replace the versions that differ. */
  async _repair() {
    this._options._isRepaired = true;
    const times = new Map();
    let latest;
    let expected;
    for await (const { records, timestamp, checksum } of this._pages('&_fields=last_modified&_checksum=')) {
      latest ??= timestamp;
      expected = checksum;
      for (const { id, last_modified } of records) times.set(id, last_modified);
    }
    const isRight = ({ id, server, timestamp }) =>
      timestamp > latest || times.get(id) === (server ? timestamp : undefined);
    const all = await this._all();
    const wrong = [...times.keys()].filter((id) => !isRight(all.get(id) ?? { id }));
    const versions = new Map();
    const left = [...wrong];
    while (left.length) {
      let ids = '';
      for (const some = []; left.length && ids.length < LONGEST_LIST;) {
        some.push(left.pop());
        ids = encodeURIComponent(JSON.stringify(some));
      }
      for await (const { records, checksum } of this._pages(`&in_id=${ids}&_checksum=`)) {
        expected = checksum;
        for (const record of records) versions.set(record.id, this._version(record, true));
      }
    }
    const corrected = (entry) => (isRight(entry) ? entry : withOnly(entry, versions.get(entry.id)));
    return (await this._rewrite(corrected, wrong)) === expected;
  }

  /** Send what can be; return whether there was something. */
  async _push() {
    const { errors } = this._result;
    let entries = [];
    for (const entry of await this._changed()) {
      const ready = entry.conflict ? await this._reconcile(entry) : entry;
      if (isReady(ready) && !errors.some(({ id }) => id === entry.id)) entries.push(ready);
    }
    if (!entries.length) return false;
    // Those that the last synchronization could not send come last.
    const order = ({ id }) => this._refused.has(id);
    entries.sort((a, b) => order(a) - order(b) || byNumber(a.changes.at(-1), b.changes.at(-1)));
    const { batch_max_requests: allowed = BATCH_SIZE } = (await this._client.hello(this._options)).settings;
    // null, 0 and '' of the server mean no limit.
    const limits = [allowed, this._client.batchSize, entries.length];
    const limit = Math.min(...limits.filter((each) => each >= 1)) | 0;
    for (let last; entries.length !== last;) {
      last = entries.length;
      this._waiting = new Set(entries.map(({ id }) => id));
      this._blocked = [];
      for (let start = 0; start < last; start += limit) await this._send(entries.slice(start, start + limit));
      entries = this._blocked;
    }
    for (const entry of entries) this._refuse(entry);
    return true;
  }

  async _reconcile(entry) {
    const { conflict: strategy } = this._options;
    const rest = unsent(entry);
    if (rest) return this._resolve(entry, rest.reduce(apply, entry.server));
    const choice = typeof strategy === 'function' ? await strategy(entry) : strategy;
    return choice === undefined ? entry : this._resolve(entry, chosen(entry, choice));
  }

  /** Send some records, in halves if the server refuses all of them, of which any may be the reason. */
  async _send(entries) {
    const ids = entries.map(({ id }) => id);
    // Changes that are being sent are no longer merged with others.
    const seal = (entry) => (isReady(entry) ? sealed(entry) : entry);
    const next = await this._update(ids, (current) => current.map(seal));
    const ready = next.filter(isReady);
    if (!ready.length) return;
    const body = { requests: ready.map((entry) => requestOf(this._path, entry)) };
    let responses;
    try {
      ({ responses } = (await this._client.request('POST', '/batch', { body, signal: this._options.signal })).body);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const middle = ready.length >> 1;
      if (middle) {
        await this._send(ready.slice(0, middle));
        return this._send(ready.slice(middle));
      }
      if (this._result.errors.length >= FRUITLESS && !this._result.pushed) throw error; // the reason is none of them
      responses = [error];
    }
    await this._keep(ready.map((entry, index) => this._settle(entry, responses[index])).filter(Boolean));
    this._emit('progress', { step: 'push', ...this._result });
  }

  /** The version that a response to a push contains, if it does. */
  _settle(entry, { status, body }) {
    const { id, server, local, timestamp } = entry;
    const isGone = server && isMissing({ status, body });
    const existing = (status === 412 && body.details?.existing) || (isGone && tombstoneOf(entry));
    if (status < 300 || (isGone && !local)) {
      this._result.pushed++;
      this._waiting.delete(id);
      return pushedVersion(entry, body?.data ?? tombstoneOf(entry));
    }
    if (existing && existing.last_modified !== timestamp) return { record: existing };
    const refusal = { ...entry, status, body };
    // A unique value that another record has, whose change is still to be sent and may free it.
    if (status === 409 && this._waiting.has(body?.details?.existing?.id)) this._blocked.push(refusal);
    else this._refuse(refusal);
    return undefined;
  }

  _refuse(refusal) {
    this._refused.add(refusal.id);
    this._waiting.delete(refusal.id);
    this._result.errors.push(refusal);
  }
}

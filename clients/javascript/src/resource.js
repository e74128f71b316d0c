/**
 * The records at one path of a service.
 *
 * Items of the store are written once and never changed: a page may be closed after any of them, and
 * two pages may write at once. What a record is follows from the items that are there:
 *
 *     {server}{path}|{id}|v|{timestamp}  a version that the server told, or its tombstone (d)
 *     {server}{path}|{id}|c|{number}     a change made here, on the version `base`
 *     {server}{path}||m|{timestamp}      all versions up to this one are stored
 *
 * A version or a change contains those changes whose numbers are in its `done`: these count no more,
 * and are removed afterwards. `from` are the last versions that a version came of by pushes of ours alone.
 */

import { ResponseError } from './errors.js';
import { emit } from './events.js';
import { comparisonOf, conditionsOf } from './query.js';
import { apply, byNumber, differ, entryOf, numbersOf, plain, requestOf, tombstoneOf, unsent } from './records.js';

const ROUNDS = 10; // of pushing what was changed, here or elsewhere, during a synchronisation
const BATCH_SIZE = 25; // if the server does not report batch_max_requests
const REMEMBERED = 50; // pushes of a record: a change of what was there before them is a conflict

/** The records at one path of a service. */
export class Resource {
  #client;
  #path;
  #prefix;
  #clock = 0;
  #edits = Promise.resolve();
  #syncs = Promise.resolve();
  #listeners = new Set();

  constructor(client, path) {
    this.#client = client;
    this.#path = path;
    this.#prefix = `${client.server}${path}|`;
  }

  // Reading

  /** The record that the server has; the local one if it was changed, or if it can't be asked for. */
  async get(id, { signal } = {}) {
    const entry = await this.#entry(id);
    if (entry.changes.length) return entry.local;
    try {
      const path = `${this.#path}/${encodeURIComponent(id)}`;
      const headers = entry.server && { 'If-None-Match': `"${entry.timestamp}"` };
      const { body } = await this.#client.request('GET', path, { headers, signal, patient: false });
      // What isn't above the mark has been synchronised: without a trace here, it may be deleted since.
      if (body?.data.last_modified > (await this.#since())) await this.#keep([{ record: body.data }]);
      else if (body) return (await this.#entry(id)).local ?? body.data;
    } catch (error) {
      if (error.status === 404) await this.#keep(entry.server ? [{ record: tombstoneOf(entry) }] : []);
      else if (signal?.aborted || (error.status < 500 && !entry.server)) throw error;
    }
    return (await this.#entry(id)).local;
  }

  /** The local records that match. */
  async list({ filters = {}, sort = '-last_modified', limit } = {}) {
    const conditions = conditionsOf(filters);
    return (await this.#entries())
      .map(({ local }) => local)
      .filter((record) => record && conditions.every((holds) => holds(record)))
      .sort(comparisonOf(sort))
      .slice(0, limit);
  }

  filter(filters, options) {
    return this.list({ ...options, filters });
  }

  /** What the server doesn't have. */
  async pending() {
    return (await this.#changed()).filter(({ pending }) => pending);
  }

  async conflicts() {
    return (await this.#changed()).filter(({ conflict }) => conflict);
  }

  /** Call a function after each change, until the function that is returned is called. */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // Changing

  create({ id, ...data }) {
    const after = plain({ id: id || crypto.randomUUID(), ...data });
    // Nobody else makes a record with an id that was made here: what the server has came of this one.
    return this.#edit(after, false, () => after, id ? null : after);
  }

  update(data) {
    return this.#edit(data, true, () => plain(data));
  }

  patch(id, data) {
    return this.#edit({ ...data, id }, true, (record) => plain({ ...record, ...data, id }));
  }

  delete(id) {
    return this.#edit({ id }, true, () => null);
  }

  /** End a conflict, or give up changes: with what is there, what was here, or another record. */
  resolve({ id, local, server, timestamp, changes }, choice) {
    const after = choice === 'server' ? server : choice === 'client' ? local : choice;
    // What came after that which the caller has seen remains in conflict.
    return this.#inTurn(async () => {
      const entry = { ...(await this.#entry(id)), timestamp };
      await this.#write(entry, server, after && plain({ ...after, id }), numbersOf(changes));
    });
  }

  /** Forget the server's records, for all of them to be read again, and the changes that were not sent. */
  reset({ keepChanges } = {}) {
    return this.#alone({}, () => this.#forget(keepChanges));
  }

  async #forget(keepChanges) {
    await this.#unmark(Infinity);
    for (const key of await this.#keys()) {
      if (!keepChanges || !key.includes('|c|')) await this.#client.store.removeItem(key);
    }
  }

  // Synchronising

  /** Pull, push, and pull what came of it. */
  sync(options = {}) {
    return this.#alone(options, (exclusive) => this.#sync(options, exclusive));
  }

  /** Act while no other action runs, here or, where there are locks, in other pages. */
  #alone({ signal }, action) {
    const { locks } = this.#client;
    const run = () =>
      locks ? locks.request(`cliquet ${this.#prefix}`, { signal }, () => action(true)) : action(false);
    return (this.#syncs = this.#syncs.then(run, run));
  }

  async #sync(options, exclusive) {
    const result = { pulled: 0, pushed: 0, conflicts: [], errors: [] };
    await this.#pull(options, result);
    for (let round = 0; round < ROUNDS && (await this.#push(options, result)); round++) {
      await this.#pull(options, result);
    }
    const isUntidy = (keys) => keys[1] || !keys[0].includes('|v|');
    for (const entry of await this.#entries(isUntidy)) await this.#tidy(entry, exclusive);
    result.conflicts = await this.conflicts();
    return result;
  }

  /** Store what has changed, unless there is nothing that this user may read, of shared records, so far. */
  #pull(options, result) {
    return this.#walk(options, result).catch((error) => {
      if (error.status !== 403) throw error;
    });
  }

  async #walk(options, result) {
    const { signal } = options;
    let since = await this.#since();
    let headers = since && { 'If-None-Match': `"${since}"` };
    let query = `?_sort=last_modified${since ? `&_since=${since}` : ''}`;
    let position = 0;
    let end; // the first page's: the others of a first walk don't tell what is deleted after that
    while (query) {
      const page = await this.#client.request('GET', this.#path + query, { headers, signal });
      const timestamp = Number(/\d+/.exec(page.headers.get('ETag'))); // which proxies may have made weak
      end ??= timestamp;
      if (timestamp && timestamp < since) {
        // The server was put back to an older state.
        await this.#forget(true);
        return this.#walk(options, result);
      }
      if (page.status === 304) return this.#unmark(since); // if that was interrupted
      const records = page.body.data;
      result.pulled += await this.#keep(records.map((record) => ({ record })));
      const next = page.headers.get('Next-Page');
      // Each page is later than the one before, or the walk would never end.
      if (next && !(position < (position = records.at(-1)?.last_modified))) throw new Error('Same Next-Page');
      // A mark would hide that the records before are gone.
      if ((await this.#since()) < since) throw new Error('Store emptied');
      since = next ? Math.min(end, position) : end;
      await this.#client.store.setItem(this.#key('', 'm', since), true);
      await this.#unmark(since);
      emit(this.#client, 'progress', { path: this.#path, step: 'pull', ...result });
      query = next && new URL(next).search; // whatever host a proxy makes it name
      headers = {};
    }
  }

  /** Send what can be; tell if there was something. */
  async #push({ signal, conflict = this.#client.conflict }, result) {
    const refused = result.errors.map(({ id }) => id);
    const entries = [];
    for (const entry of await this.#changed()) {
      const ready = entry.conflict ? await this.#reconcile(entry, conflict) : entry;
      if (ready.pending && !ready.conflict && !refused.includes(ready.id)) entries.push(ready);
    }
    if (!entries.length) return false;
    entries.sort((a, b) => byNumber(a.changes.at(-1), b.changes.at(-1)));
    // null, 0 and '' mean no limit.
    const { batch_max_requests: limit = BATCH_SIZE } = (await this.#client.hello({ signal })).settings;
    while (entries.length) {
      await this.#send(entries.splice(0, limit >= 1 ? limit : entries.length), result, signal);
      emit(this.#client, 'progress', { path: this.#path, step: 'push', ...result });
    }
    return true;
  }

  async #reconcile(entry, strategy) {
    const { id, server, changes } = entry;
    const rest = unsent(entry);
    if (rest) await this.#write(entry, server, rest.reduce(apply, server), numbersOf(changes));
    else {
      const choice = typeof strategy === 'function' ? await strategy(entry) : strategy;
      if (choice === undefined) return entry;
      await this.resolve(entry, choice);
    }
    return this.#entry(id);
  }

  /** Send a batch; if it fails as a whole, of which any record may be the reason, send them one by one. */
  async #send(entries, result, signal) {
    const requests = entries.map((entry) => requestOf(this.#path, entry));
    try {
      const { body } = await this.#client.request('POST', '/batch', { body: { requests }, signal });
      for (const [index, answer] of body.responses.entries()) await this.#settle(entries[index], answer, result);
    } catch (error) {
      if (![400, 413, 500].includes(error.status)) throw error;
      if (entries.length === 1) return this.#settle(entries[0], error, result);
      for (const entry of entries) await this.#send([entry], result, signal);
      if (!result.pushed) throw error; // the reason is none of them
    }
  }

  /** Store the answer to the push of a record. */
  async #settle(entry, { status, body }, result) {
    const isGone = status === 404 && entry.server;
    if (status === 412 || (isGone && entry.local)) {
      await this.#keep([{ record: body.details?.existing ?? tombstoneOf(entry) }]);
    } else if (status < 300 || isGone) {
      result.pushed++;
      const record = body.data ?? tombstoneOf(entry);
      const done = numbersOf(entry.changes);
      const from = [...(entry.latest?.from ?? []), entry.timestamp].slice(-REMEMBERED);
      if (record.last_modified > entry.timestamp) await this.#keep([{ record, done, from }]);
      else await this.#write(entry, entry.server, entry.server, done); // what it made of them is no change
    } else if (status === 401) {
      throw new ResponseError({ status, body }); // all of them would be refused
    } else {
      result.errors.push({ ...entry, status, body });
    }
  }

  // The store

  async #keys() {
    return (await this.#client.store.keys()).filter((key) => key.startsWith(this.#prefix));
  }

  /** The entries of the ids, or of those whose keys are wanted. */
  async #entries(isWanted = () => true) {
    for (;;) {
      const keysOf = new Map();
      for (const key of await this.#keys()) {
        const id = decodeURIComponent(key.slice(this.#prefix.length).split('|')[0]);
        if (id) keysOf.set(id, [...(keysOf.get(id) ?? []), key]);
      }
      const load = async (key) => ({ ...(await this.#client.store.getItem(key)), key });
      const entries = await Promise.all(
        [...keysOf]
          .filter(([id, keys]) => isWanted(keys, id))
          .map(async ([id, keys]) => entryOf(id, await Promise.all(keys.map(load)))),
      );
      // An item that is gone has been removed meanwhile, after another that contains it was written.
      if (entries.every(({ items }) => items.every(({ record, number }) => record || number))) return entries;
    }
  }

  async #entry(id) {
    const [entry = entryOf(id, [])] = await this.#entries((_, other) => other === id);
    return entry;
  }

  #changed() {
    return this.#entries((keys) => keys.some((key) => key.includes('|c|')));
  }

  #key(id, kind, number) {
    return `${this.#prefix}${encodeURIComponent(id)}|${kind}|${number}`;
  }

  async #marks() {
    return (await this.#keys()).filter((key) => key.includes('||m|')).map((key) => Number(key.split('|').at(-1)));
  }

  /** All versions up to this one are stored. */
  async #since() {
    return Math.max(0, ...(await this.#marks()));
  }

  /** Forget the marks before one. */
  async #unmark(timestamp) {
    for (const mark of await this.#marks()) {
      if (mark < timestamp) await this.#client.store.removeItem(this.#key('', 'm', mark));
    }
  }

  /** Store versions; tell how many are news. */
  async #keep(versions) {
    const ids = new Set(versions.map(({ record }) => record.id));
    const entries = new Map((await this.#entries((_, id) => ids.has(id))).map((entry) => [entry.id, entry]));
    let count = 0;
    for (const version of versions) {
      const { id, last_modified, deleted } = version.record;
      const { items, local } = entries.get(id) ?? entryOf(id, []);
      const key = this.#key(id, deleted ? 'd' : 'v', last_modified);
      const others = items.filter((item) => item.key !== key);
      if (others.length < items.length && !version.done) continue;
      await this.#client.store.setItem(key, version);
      const entry = entryOf(id, [...others, { ...version, key }]);
      await this.#tidy(entry);
      this.#notify(local, entry, 'server');
      count++;
    }
    return count;
  }

  /**
   * Remove what counts no more: changes before that which contains them.
   *
   * Only under the lock may it be forgotten that the server has no record: another page might store,
   * in the next moment, a version that it was told before.
   */
  async #tidy({ items, latest, changes, pending }, exclusive) {
    const remaining = pending || !(latest || exclusive) ? changes : [];
    const removed = items.filter((item) => item.number && !remaining.includes(item)).sort(byNumber);
    removed.push(...items.filter((item) => item.record && item !== latest));
    if (exclusive && !remaining.length && latest?.record.deleted) removed.push(latest);
    for (const { key } of removed) await this.#client.store.removeItem(key);
  }

  /** Do one edit after the other, in the order of the calls. */
  #inTurn(action) {
    return (this.#edits = this.#edits.then(action, action));
  }

  /** Change a record that exists, or doesn't; `last_modified` is of the version that was changed. */
  #edit({ id, last_modified }, exists, make, before) {
    return this.#inTurn(async () => {
      const entry = await this.#entry(id);
      const { local, timestamp } = entry;
      if (!local === exists) throw new Error(`${this.#path}/${id} ${exists ? "doesn't exist" : 'exists'}`);
      const after = make(local);
      const edited = { ...entry, timestamp: last_modified ?? timestamp };
      if (differ(local, after)) await this.#write(edited, before ?? local, after);
      return after && { ...after, ...(timestamp && { last_modified: timestamp }) };
    });
  }

  /** Store a change, with a number above all those of the record. */
  async #write({ id, items, timestamp, local }, before, after, done) {
    const numbers = items.map(({ number }) => parseInt(number) + 1 || 0);
    this.#clock = Math.max(Date.now(), this.#clock + 1, ...numbers);
    const number = `${this.#clock}.${crypto.randomUUID()}`;
    const change = { number, base: timestamp, before, after, done };
    await this.#client.store.setItem(this.#key(id, 'c', number), change);
    this.#notify(local, entryOf(id, [...items, change]), 'local');
  }

  #notify(before, { id, local }, origin) {
    if (!differ(before, local)) return;
    // Those that fail keep nothing from being done.
    for (const listener of this.#listeners) queueMicrotask(() => listener({ id, record: local, origin }));
  }
}

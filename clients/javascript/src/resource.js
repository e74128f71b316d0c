/** The records at one path of a service. */

import { isMissing } from './errors.js';
import { chosen, differ, differing, picked, plain } from './records.js';
import { SynchronizedCopy } from './sync.js';
import { checkJSON } from './values.js';

export class Resource extends SynchronizedCopy {
  _last = {}; // promises
  _listeners = new Set();

  constructor(client, path) {
    super(client, path);
    const { name } = client.store;
    this._name = `cliquet ${name} ${this._prefix}`;
    if (name) {
      this._channel = new BroadcastChannel(this._name);
      this._channel.onmessage = ({ data }) => this._call(data);
    }
  }

  // Reading

  /** The record of the server; the local one if it was changed, or if the server can't be reached. */
  async get(id, { signal } = {}) {
    const [entry] = await this._entries([checkedId(id)]);
    if (entry.changes.length) return entry.local;
    let body;
    try {
      const path = `${this._path}/${encodeURIComponent(id)}`;
      const headers = entry.server && { 'If-None-Match': `"${entry.timestamp}"` };
      ({ body } = await this._client.request('GET', path, { headers, signal, _patient: false }));
      if (body) await this._keep([{ record: body.data }]);
    } catch (error) {
      // A user who may not read the record for now gets this too: only the next synchronization removes it.
      if (isMissing(error)) return null;
      if (signal?.aborted || (error.status < 500 && !entry.server)) throw error;
    }
    const [{ local }] = await this._entries([id]);
    return local ?? body?.data ?? null;
  }

  /** The local records that match. */
  async list(query = {}) {
    const records = [...(await this._all()).values()].map(({ local }) => local);
    return this._client.query(records.filter(Boolean), query);
  }

  filter(filters, options) {
    return this.list({ ...options, filters });
  }

  /** The records with changes that the server doesn't have. */
  async pending() {
    return (await this._changed()).filter((entry) => entry.pending);
  }

  async conflicts() {
    return (await this._changed()).filter((entry) => entry.conflict);
  }

  /** Call a function after each change, here or in another page, until the function that is returned is called. */
  subscribe(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  _notify(changes) {
    this._channel?.postMessage(changes);
    this._call(changes);
  }

  _call(changes) {
    // Listeners that fail keep nothing from being done.
    for (const listener of this._listeners) for (const change of changes) queueMicrotask(() => listener(change));
  }

  // Changing

  create(data) {
    const id = data.id || crypto.randomUUID();
    // No other client creates a record with an id that was generated here: the server's record came of this one.
    return this._edit(id, false, () => ({ ...data, id }), {}, !data.id);
  }

  update(data) {
    return this._edit(data.id, true, () => data, { last_modified: undefined, ...data });
  }

  patch(id, data) {
    return this._edit(id, true, (record) => ({ ...record, ...data, id }), data);
  }

  delete(id) {
    return this._edit(id, true, () => null, {});
  }

  /**
   * Change a record that exists, or create one. `seen.last_modified` is the timestamp of the version that the caller
   * has seen: undefined if none, missing for the latest.
   */
  _edit(id, exists, make, seen, isOwn) {
    return this._inTurn('edit', async () => {
      checkedId(id);
      let after;
      const [{ timestamp }] = await this._update([id], ([entry]) => {
        const { local } = entry;
        if (!local === exists) throw new Error(`${this._path}/${id} ${exists ? "doesn't exist" : 'exists'}`);
        after = checked(make(local), local);
        const isUnsent = 'last_modified' in seen && entry.server;
        const base = seen.last_modified ?? (isUnsent ? 0 : entry.timestamp);
        const change = { base, before: isOwn ? after : local, after };
        return [differ(local, after) ? this._edited(entry, change, []) : entry];
      });
      return after && { ...after, ...(timestamp && { last_modified: timestamp }) };
    });
  }

  /** End a conflict, or give up changes: with the server's record, the local one, or another. */
  resolve(conflict, choice) {
    // What came after that which the caller has seen remains in conflict.
    return this._inTurn('edit', async () => {
      await this._resolve(conflict, chosen(conflict, choice));
      this._wake?.(); // subscribers don't hear of it if the local record remains
    });
  }

  /** Act after the previous actions of the same kind, in the order of the calls. */
  _inTurn(kind, action) {
    return (this._last[kind] = Promise.resolve(this._last[kind]).then(action, action));
  }

  // Synchronizing

  /** Pull, push, and pull the resulting versions. */
  sync(options) {
    const signal = this._client._signal(options?.signal);
    return this._alone(() => this._run({ conflict: this._client.conflict, ...options, signal }), signal);
  }

  /** Synchronize now and then, until the function that is returned is called. */
  autoSync(options) {
    return this._client.live(this, options);
  }

  /** Call a function after each change, here or on the server, until the function that is returned is called. */
  live(listener, options) {
    const unsubscribe = this.subscribe(listener);
    const end = this._client.live(this, options, true);
    return () => end(unsubscribe());
  }

  /** Forget the server's records, for all of them to be read again, and the changes unless they are kept. */
  reset({ keepChanges } = {}) {
    return this._alone(() => this._forget(keepChanges));
  }

  /** Act while no other action runs, here or, where there are locks, in other pages. */
  _alone(action, signal) {
    return this._inTurn('sync', () => this._locked('', action, signal));
  }

  /** Act while no other page does the same, if the browser has locks. */
  _locked(name, action, signal) {
    return this._client.locks?.request(this._name + name, { signal }, action) ?? action();
  }

  /** Leave the channel between pages. */
  close() {
    this._channel?.close();
    this._listeners.clear();
  }
}

function checkedId(id) {
  if (typeof id !== 'string' || /^\.{0,2}$/.test(id)) throw new TypeError(`Invalid id ${id}`);
  return id;
}

/** A record as the server will read it, if JSON can represent the fields in which it differs from another. */
function checked(record, other) {
  const after = record && plain(record);
  // The other fields can be what JSON.parse() has made of the server's.
  checkJSON(picked(record, differing(other, record)));
  return after;
}

/** The bookmarks of a user on a device, which are synchronized automatically. */

import { Client } from '../cliquet.js';
import { IndexedDBStore } from '../indexeddb.js';
import { live } from '../live.js';
import { query } from '../query.js';

const INTERVAL = 2000; // between two synchronizations in milliseconds, if the server can't stream changes

/** Basic auth, whose names can be of any alphabet; the example application takes any password. */
function credentials(user) {
  const bytes = new TextEncoder().encode(`${user}:secret`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

const stateOf = (change, refusal) => {
  if (!change) return 'synced';
  if (change.conflict) return 'conflict';
  return refusal ? 'refused' : 'pending';
};

/** Dispatches `change` when `read()` returns something else, and `alert` for messages of the service. */
export class Session extends EventTarget {
  #client;
  #bookmarks;
  #isOffline;
  #end = () => {};
  #failure;
  #verified = false;
  #refusals = new Map();

  constructor({ user, device, isOffline }) {
    super();
    this.#client = new Client({
      server: new URL('..', import.meta.url).href,
      user,
      store: new IndexedDBStore(`cliquet-demo ${device}`),
      auth: () => ({ Authorization: credentials(user) }),
      query,
      live,
      retries: 0, // the next automatic synchronization is soon
    });
    this.#client.addEventListener('alert', ({ detail }) => this.#dispatch('alert', detail));
    this.#client.addEventListener('error', ({ detail }) => this.#show({ failure: detail.error }));
    this.#client.addEventListener('sync', ({ detail }) => this.#show(detail));
    this.#bookmarks = this.#client.resource('/bookmarks');
    this.isOffline = isOffline;
  }

  set isOffline(value) {
    this.#isOffline = value;
    this.#end(); // a request that is on its way gets no response, as when the network goes
    const show = () => this.#dispatch('change');
    this.#end = value ? this.#bookmarks.subscribe(show) : this.#bookmarks.live(show, { interval: INTERVAL });
    this.#dispatch('change');
  }

  close() {
    return this.#client.close();
  }

  /** Everything that is to be shown. */
  async read() {
    const pending = await this.#bookmarks.pending();
    const changes = new Map(pending.map((change) => [change.id, change]));
    const records = await this.#bookmarks.list({ sort: 'title,url,id' });
    const deletedHere = pending.filter(({ conflict, local }) => conflict && !local).map(({ server }) => server);
    const items = [...deletedHere, ...records].filter(Boolean).map((record) => {
      const [change, refusal] = [changes.get(record.id), this.#refusals.get(record.id)];
      return { id: record.id, record, change, refusal, state: stateOf(change, refusal) };
    });
    return {
      items,
      waiting: pending.length,
      isOffline: this.#isOffline,
      failure: this.#failure,
      verified: this.#verified,
    };
  }

  add(data) {
    return this.#bookmarks.create(data);
  }

  /** The record contains the version that the user has seen: with another one, this is a conflict. */
  save(record) {
    return this.#bookmarks.update(record);
  }

  delete(id) {
    return this.#bookmarks.delete(id);
  }

  async resolve(change, choice) {
    await this.#bookmarks.resolve(change, choice);
    this.#dispatch('change'); // subscribers don't hear of it if the local record remains
  }

  #show({ errors = [], failure, verified = false }) {
    if (!failure) this.#refusals = new Map(errors.map((error) => [error.id, error.body]));
    this.#failure = failure;
    this.#verified = verified;
    this.#dispatch('change');
  }

  #dispatch(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** The bookmarks of a user on a device, which are synchronised again and again. */

import { Client, IndexedDBStore } from '../cliquet.js';

const PAUSE = 2000; // between two synchronisations, in milliseconds; it doubles after each failure
const LONGEST_PAUSE = 30_000;

/** Basic auth, whose names may be of any alphabet; the example application takes any password. */
function credentials(user) {
  const bytes = new TextEncoder().encode(`${user}:demo`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

const stateOf = (change, refusal) => {
  if (!change) return 'synced';
  if (change.conflict) return 'conflict';
  return refusal ? 'refused' : 'pending';
};

/** Tells `change` when there is something else to `read()`, and `alert` what the service wants to be known. */
export class Session extends EventTarget {
  #bookmarks;
  #channel;
  #isOffline;
  #requests = new AbortController();
  #end = new AbortController();
  #wake = () => {};
  #isWoken = false;
  #failure;
  #refusals = new Map();

  constructor({ user, device, isOffline }) {
    super();
    const name = `cliquet-demo ${user} ${device}`;
    const client = new Client({
      server: new URL('..', import.meta.url).href,
      store: new IndexedDBStore(name),
      auth: () => ({ Authorization: credentials(user) }),
      fetch: (...request) => (this.#isOffline ? Promise.reject(new TypeError('Offline')) : fetch(...request)),
      retries: 0, // this one does it
    });
    client.addEventListener('alert', ({ detail }) => this.#tell('alert', detail));
    this.#isOffline = isOffline;
    this.#bookmarks = client.resource('/bookmarks');
    this.#bookmarks.subscribe(() => this.#changed());
    this.#channel = new BroadcastChannel(name); // to the other windows on this store
    this.#channel.onmessage = () => this.#tell('change');
    const { signal } = this.#end;
    addEventListener('online', () => this.#resume(), { signal });
    document.addEventListener('visibilitychange', () => this.#resume(), { signal });
    this.#run();
  }

  set isOffline(value) {
    this.#isOffline = value;
    this.#requests.abort(); // one that is on its way has no answer, as when the network goes
    this.#tell('change');
    this.#resume();
  }

  close() {
    this.#end.abort();
    this.#requests.abort();
    this.#channel.close();
    this.#resume();
  }

  /** All that there is to be shown. */
  async read() {
    const pending = await this.#bookmarks.pending();
    const changes = new Map(pending.map((change) => [change.id, change]));
    const records = await this.#bookmarks.list({ sort: 'title,url,id' });
    const deletedHere = pending.filter(({ conflict, local }) => conflict && !local).map(({ server }) => server);
    const items = [...deletedHere, ...records].filter(Boolean).map((record) => {
      const [change, refusal] = [changes.get(record.id), this.#refusals.get(record.id)];
      return { id: record.id, record, change, refusal, state: stateOf(change, refusal) };
    });
    return { items, waiting: pending.length, isOffline: this.#isOffline, failure: this.#failure };
  }

  add(data) {
    return this.#edit(() => this.#bookmarks.create(data));
  }

  /** The version that the user has seen is told with the record: of another one this makes a conflict. */
  save(record) {
    return this.#edit(() => this.#bookmarks.update(record));
  }

  delete(id) {
    return this.#edit(() => this.#bookmarks.delete(id));
  }

  resolve(change, choice) {
    return this.#edit(() => this.#bookmarks.resolve(change, choice));
  }

  async #edit(action) {
    await action();
    this.#changed();
    this.#resume();
  }

  #changed() {
    this.#tell('change');
    if (!this.#end.signal.aborted) this.#channel.postMessage('change');
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  async #run() {
    for (let pause = PAUSE; !this.#end.signal.aborted;) {
      if (!this.#isOffline && !document.hidden) await this.#sync();
      pause = this.#failure ? Math.min(2 * pause, LONGEST_PAUSE) : PAUSE;
      await this.#rest(pause);
    }
  }

  async #sync() {
    this.#requests = new AbortController();
    try {
      const { errors } = await this.#bookmarks.sync({ signal: this.#requests.signal });
      this.#refusals = new Map(errors.map((error) => [error.id, error.body]));
      this.#failure = undefined;
    } catch (error) {
      if (!this.#requests.signal.aborted) this.#failure = error;
    }
    this.#changed();
  }

  /** Wait, until there is something to do. */
  async #rest(time) {
    if (!this.#isWoken) {
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, time);
      });
    }
    this.#isWoken = false;
  }

  #resume() {
    this.#isWoken = true;
    this.#wake();
  }
}

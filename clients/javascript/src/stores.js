/** Stores: the places where items are kept. cliquet.d.ts describes their interface. */

/** The index of the first key that isn't below another, in sorted keys. */
function indexOf(keys, key) {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A store that keeps items until the page is closed. */
export class MemoryStore {
  _items = new Map(); // as JSON
  _keys = []; // sorted

  async keys(prefix = '') {
    return this._keys.slice(indexOf(this._keys, prefix), indexOf(this._keys, `${prefix}\uffff`));
  }

  async getAll(prefixes) {
    const keys = await Promise.all([prefixes].flat().map((prefix) => this.keys(prefix)));
    return keys.flat().map((key) => [key, JSON.parse(this._items.get(key))]);
  }

  async write(changes) {
    if (!changes.every(([key, value]) => value !== undefined || this._items.has(key))) return false;
    for (const [key, value] of changes) {
      const isRemoved = this._items.delete(key);
      if (value !== undefined) this._items.set(key, JSON.stringify(value));
      this._keys.splice(indexOf(this._keys, key), +isRemoved, ...(value === undefined ? [] : [key]));
    }
    return true;
  }
}

/** A store that keeps items in a database of the browser. */
export class IndexedDBStore {
  constructor(name = 'cliquet') {
    this.name = name;
  }

  async keys(prefix = '') {
    return (await this.getAll(prefix)).map(([key]) => key);
  }

  getAll(prefixes) {
    return this._run('readonly', (items) => {
      const requests = [prefixes].flat().map((prefix) => items.getAll(IDBKeyRange.bound(prefix, `${prefix}\uffff`)));
      return () => requests.flatMap(({ result }) => result.map(({ key, value }) => [key, value]));
    });
  }

  write(changes) {
    return this._run('readwrite', (items) => {
      let isDone = true;
      const removed = changes.filter(([, value]) => value === undefined);
      let left = removed.length;
      const apply = () => {
        for (const [key, value] of isDone ? changes : []) {
          if (value === undefined) items.delete(key);
          else items.put({ key, value });
        }
      };
      if (!left) apply();
      for (const [key] of removed) {
        items.getKey(key).onsuccess = ({ target }) => {
          isDone &&= target.result !== undefined;
          if (!--left) apply();
        };
      }
      return () => isDone;
    });
  }

  /** Close the database; the next operation opens it again. */
  async close() {
    const opened = this._opened;
    this._opened = null;
    (await opened)?.close();
  }

  _open() {
    const request = indexedDB.open(this.name, 2);
    request.onupgradeneeded = () => request.result.createObjectStore('all', { keyPath: 'key' });
    return new Promise((resolve, reject) => {
      request.onsuccess = () => {
        // Another page deletes the database, or upgrades it; it waits for this one.
        request.result.onversionchange = () => this.close();
        resolve(request.result);
      };
      request.onerror = () => reject(request.error);
    });
  }

  async _run(mode, operation) {
    const begin = async () => (await (this._opened ??= this._open())).transaction('all', mode);
    const transaction = await begin().catch(() => {
      this._opened = null; // the browser closes it when the user has the data of the site removed
      return begin();
    });
    return new Promise((resolve, reject) => {
      const result = operation(transaction.objectStore('all'));
      const fail = () => reject(transaction.error ?? new Error('Store closed'));
      const end = new AbortController();
      // Chromium reports no end of what began just before the database was closed.
      transaction.db.addEventListener('close', fail, { signal: end.signal });
      transaction.onabort = () => fail(end.abort());
      transaction.oncomplete = () => resolve(result(end.abort()));
    });
  }
}

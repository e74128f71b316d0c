/** Stores: the places where items are kept. cliquet.d.ts describes their interface. */

/** A store that keeps items until the page is closed. */
export class MemoryStore {
  _places = new Map(); // by the first two parts of keys, then by the third: items as JSON, by their keys

  async keys(prefix = '') {
    return [...this._matching(prefix)].map(([key]) => key);
  }

  async getAll(prefixes) {
    const items = [prefixes].flat().flatMap((prefix) => [...this._matching(prefix)]);
    return items.map(([key, value]) => [key, JSON.parse(value)]);
  }

  async write(changes) {
    if (!changes.every(([key, value]) => value !== undefined || this._group(key).has(key))) return false;
    for (const [key, value] of changes) {
      if (value === undefined) this._group(key).delete(key);
      else this._group(key).set(key, JSON.stringify(value));
    }
    return true;
  }

  /** The items of one record, or a similar group. */
  _group(key) {
    const [path, kind, id] = key.split('|');
    const place = `${path}|${kind}|`;
    if (!this._places.has(place)) this._places.set(place, new Map());
    const groups = this._places.get(place);
    if (!groups.has(id)) groups.set(id, new Map());
    return groups.get(id);
  }

  *_matching(prefix) {
    for (const [place, groups] of this._places) {
      if (!prefix.startsWith(place) && !place.startsWith(prefix)) continue;
      const [id, rest] = prefix.slice(place.length).split('|');
      // Most prefixes are of one record.
      for (const [name, items] of rest === undefined ? groups : [[id, groups.get(id) ?? []]]) {
        if (!items.size) groups.delete(name);
        for (const item of items) if (item[0].startsWith(prefix)) yield item;
      }
    }
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

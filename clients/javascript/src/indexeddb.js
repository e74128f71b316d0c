/** The module `cliquet/indexeddb`. */

/** A store that keeps items in a database of the browser. */
export class IndexedDBStore {
  constructor(name = 'cliquet') {
    this.name = name;
  }

  getAll(prefixes) {
    return this._run('readonly', (items) => {
      const requests = prefixes.map((prefix) => items.getAll(IDBKeyRange.bound(prefix, `${prefix}\uffff`)));
      return () => requests.flatMap(({ result }) => result.map(({ key, value }) => [key, value]));
    });
  }

  write(changes) {
    return this._run('readwrite', (items) => {
      const found = changes.filter(([, value]) => value === undefined).map(([key]) => items.count(key));
      let isDone;
      // The requests of a transaction end in order, so the others have their results.
      items.count('').onsuccess = () => {
        isDone = found.every(({ result }) => result);
        for (const [key, value] of isDone ? changes : []) {
          if (value === undefined) items.delete(key);
          else items.put({ key, value });
        }
      };
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
      // Chromium reports no end of transactions that began just before the database was closed.
      transaction.db.addEventListener('close', fail, { signal: end.signal });
      transaction.onabort = () => fail(end.abort());
      transaction.oncomplete = () => resolve(result(end.abort()));
    });
  }
}

/** Stores: the places where records are kept. */

/** Keeps items until the page is closed. */
export class MemoryStore {
  #items = new Map();

  async getItem(key) {
    return structuredClone(this.#items.get(key) ?? null);
  }

  async setItem(key, value) {
    this.#items.set(key, structuredClone(value));
  }

  async removeItem(key) {
    this.#items.delete(key);
  }

  async keys() {
    return [...this.#items.keys()];
  }
}

/** Keeps items in a database of the browser. */
export class IndexedDBStore {
  #name;
  #opened;

  constructor(name = 'cliquet') {
    this.#name = name;
  }

  async getItem(key) {
    return (await this.#run('get', key)) ?? null;
  }

  setItem(key, value) {
    return this.#run('put', value, key);
  }

  removeItem(key) {
    return this.#run('delete', key);
  }

  keys() {
    return this.#run('getAllKeys');
  }

  #open() {
    const request = indexedDB.open(this.#name);
    request.onupgradeneeded = () => request.result.createObjectStore('items');
    return new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  }

  async #run(method, ...operands) {
    const mode = method.startsWith('get') ? 'readonly' : 'readwrite';
    const begin = async () => (await (this.#opened ??= this.#open())).transaction('items', mode);
    const transaction = await begin().catch(() => {
      this.#opened = null; // the browser closes it when the user has the data of the site removed
      return begin();
    });
    return new Promise((resolve, reject) => {
      const request = transaction.objectStore('items')[method](...operands);
      const fail = () => reject(transaction.error ?? new Error('Store closed'));
      transaction.db.addEventListener('close', fail); // of what began just before it, Chromium tells no end
      transaction.onabort = fail;
      transaction.oncomplete = () => {
        transaction.db.removeEventListener('close', fail);
        resolve(request.result);
      };
    });
  }
}

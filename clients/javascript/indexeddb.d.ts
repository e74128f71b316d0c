import type { Store } from './cliquet.js';

/** Keeps items in a database of the browser, `cliquet` by default. */
export class IndexedDBStore implements Store {
  constructor(name?: string);
  readonly name: string;
  getAll(prefixes: string[]): Promise<[key: string, value: any][]>;
  write(changes: [key: string, value?: any][]): Promise<boolean>;
  /** Close the database. It is opened again by the next operation, and closed too when another page deletes it. */
  close(): Promise<void>;
}

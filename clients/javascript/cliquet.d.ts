/** What records have: more fields are those of the resource's schema. */
export interface Fields {
  id: string;
  /** The version that it was made from, in milliseconds; absent from what was never sent. */
  last_modified?: number;
}

export type Saved<T> = T & Fields;

/** Where items are kept, as in localForage. `getItem` gives null for what isn't there. */
export interface Store {
  getItem(key: string): Promise<any>;
  setItem(key: string, value: any): Promise<unknown>;
  removeItem(key: string): Promise<unknown>;
  keys(): Promise<string[]>;
}

/** A record with changes that the server doesn't have; null stands for a deleted one. */
export interface Pending<T> {
  id: string;
  local: Saved<T> | null;
  server: Saved<T> | null;
  /** That of the server's version, 0 without one. */
  timestamp: number;
  /** Whether the server has a version that the changes weren't made on. */
  conflict: boolean;
  /** What `resolve()` needs of it. */
  readonly changes: readonly unknown[];
}

/** A change that the server refuses, with its status and body; it stays pending. */
export interface Refusal<T> extends Pending<T> {
  status: number;
  body: any;
}

export type Choice<T> = 'server' | 'client' | T | null;

/** Ends conflicts; what it leaves undefined stays in conflict. */
export type Strategy<T> =
  'server' | 'client' | ((conflict: Pending<T>) => Choice<T> | undefined | Promise<Choice<T> | undefined>);

export interface Result<T> {
  /** How many versions were news. */
  pulled: number;
  /** How many records were sent. */
  pushed: number;
  conflicts: Pending<T>[];
  errors: Refusal<T>[];
}

export interface Change<T> {
  id: string;
  /** As it is now, or null. */
  record: Saved<T> | null;
  origin: 'local' | 'server';
}

/** `$like` ignores case: `%` is any text, `_` any character. */
export interface Operators {
  $eq?: unknown;
  $ne?: unknown;
  $lt?: number | string;
  $lte?: number | string;
  $gt?: number | string;
  $gte?: number | string;
  $in?: unknown[];
  $nin?: unknown[];
  $like?: string;
}

/** By field; a bare value stands for `$eq`. */
export type Filters = Record<string, Operators | string | number | boolean | null>;

export interface Query {
  filters?: Filters;
  /** As `_sort` of the protocol, `a,-b`; the latest first by default, and those that were never sent before. */
  sort?: string;
  limit?: number;
}

export interface SyncOptions<T> {
  /** In place of the client's. */
  conflict?: Strategy<T>;
  /** Aborts requests and waits; what was done stays done. */
  signal?: AbortSignal;
}

export class Resource<T = any> {
  /** The server's record, or the local one if it was changed, or if the server can't be asked. */
  get(id: string, options?: { signal?: AbortSignal }): Promise<Saved<T> | null>;
  list(query?: Query): Promise<Saved<T>[]>;
  filter(filters: Filters, options?: Omit<Query, 'filters'>): Promise<Saved<T>[]>;
  create(data: T & { id?: string }): Promise<Saved<T>>;
  /** Replace a record. A `last_modified` that isn't the latest makes it a conflict. */
  update(data: Saved<T>): Promise<Saved<T>>;
  patch(id: string, data: Partial<Saved<T>>): Promise<Saved<T>>;
  delete(id: string): Promise<null>;
  pending(): Promise<Pending<T>[]>;
  conflicts(): Promise<Pending<T>[]>;
  /** End a conflict, or give up changes that are refused (`'server'`). Nothing is sent before `sync()`. */
  resolve(conflict: Pending<T>, choice: Choice<T>): Promise<void>;
  /**
   * Be told of each change, after it; what the listener throws is reported as uncaught.
   *
   * @returns what ends it
   */
  subscribe(listener: (change: Change<T>) => void): () => void;
  /** @throws {ResponseError} when the server refuses all of it; the next one goes on from there */
  sync(options?: SyncOptions<T>): Promise<Result<T>>;
  /** Forget the copy of the server's records, and the changes that were not sent unless they are kept. */
  reset(options?: { keepChanges?: boolean }): Promise<void>;
}

export interface ClientOptions {
  /** The URL of the service, with or without the version. */
  server: string;
  /** One for each user; by default a `MemoryStore`. */
  store?: Store;
  /** Gives the headers of each request. */
  auth?: () => Record<string, string> | Promise<Record<string, string>>;
  /** Without one, conflicts are left to `resolve()`. */
  conflict?: Strategy<any>;
  /** How often a request is tried again: 4. */
  retries?: number;
  /** Before the first of these, in milliseconds: 1000; it doubles each time. */
  delay?: number;
  fetch?: typeof fetch;
  /** Those of the browser, where it has some; null for none. */
  locks?: Pick<LockManager, 'request'> | null;
}

/**
 * Events, each with a `detail`: `progress` (`{path, step, pulled, pushed}`, and what else the result has
 * so far), `waiting` (`{seconds}`, as the server asks) and `alert` (`{code, message, url}`).
 */
export class Client extends EventTarget {
  constructor(options: ClientOptions);
  readonly server: string;
  /** @param path of the collection, without the version: `/articles` */
  resource<T = any>(path: string): Resource<T>;
  /** What the service says of itself. */
  hello(options?: { signal?: AbortSignal }): Promise<any>;
  /**
   * Send a request of one's own, with the same retries and waits.
   *
   * @throws {ResponseError} when its answer is no success, or no JSON: those of services are
   */
  request(
    method: string,
    path: string,
    options?: { headers?: Record<string, string>; body?: unknown; signal?: AbortSignal; patient?: boolean },
  ): Promise<{ status: number; headers: Headers; body: any; url: string }>;
}

/** The error of the protocol: `body` has its `errno`. */
export class ResponseError extends Error {
  readonly status: number;
  readonly body: any;
}

/** Keeps items until the page is closed. */
export class MemoryStore implements Store {
  getItem(key: string): Promise<any>;
  setItem(key: string, value: any): Promise<void>;
  removeItem(key: string): Promise<void>;
  keys(): Promise<string[]>;
}

/** Keeps items in a database of the browser, `cliquet` by default. */
export class IndexedDBStore implements Store {
  constructor(name?: string);
  getItem(key: string): Promise<any>;
  setItem(key: string, value: any): Promise<void>;
  removeItem(key: string): Promise<void>;
  keys(): Promise<string[]>;
}

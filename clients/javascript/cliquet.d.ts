/** What records have: more fields are those of the resource's schema. */
export interface Fields {
  id: string;
  /** The version that it was made from, in milliseconds; absent from what was never sent. */
  last_modified?: number;
}

export type Saved<T> = T & Fields;

/**
 * A place where items are kept, as JSON. A store that several pages share must do each call in one transaction.
 *
 * A `name`, if there is one, identifies the items to all pages: those with the same name notify each other of changes.
 */
export interface Store {
  readonly name?: string;
  /** The keys and copies of the values of the items whose keys begin with one of the prefixes. */
  getAll(prefixes: string[]): Promise<[key: string, value: any][]>;
  /**
   * Store values, and remove the keys whose value is undefined or left out, all in one transaction.
   *
   * @returns whether it is done: if a key to be removed is missing, nothing is changed
   */
  write(changes: [key: string, value?: any][]): Promise<boolean>;
  /** Called by `Client.close()`. */
  close?(): Promise<void>;
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
  /**
   * Whether the copy, without pending changes, is exactly what the user can read, according to the server's checksum.
   * Undefined if the server doesn't support checksums.
   */
  verified?: boolean;
}

export interface Change<T> {
  id: string;
  /** As it is now, or null. */
  record: Saved<T> | null;
  origin: 'local' | 'server';
}

/** Conditions on a field, as in the protocol's query string; values of different types are never equal. */
export interface Operators {
  $eq?: unknown;
  /** Also matches records without the field. */
  $ne?: unknown;
  $lt?: number | string | boolean;
  $lte?: number | string | boolean;
  $gt?: number | string | boolean;
  $gte?: number | string | boolean;
  $in?: unknown[];
  /** Also matches records without the field. */
  $nin?: unknown[];
  /** Whether the field exists, even if it is null. */
  $has?: boolean;
  /**
   * The field is a string that contains this one, without regard to case. `*` stands for any characters; a pattern with
   * `*` must match the whole string.
   */
  $like?: string;
  /** The field is an array that contains all of the values. */
  $contains?: unknown[];
  /** The field is an array that contains any of the values. */
  $contains_any?: unknown[];
}

/**
 * Conditions by field, or by path for nested fields, such as `author.name`; a value without an operator stands for
 * `$eq`. Records must match all conditions, and, with `$or`, all conditions of at least one of its objects.
 */
export type Filters = { $or?: Filters[] } & Record<
  string,
  Operators | Filters[] | string | number | boolean | null | undefined
>;

/** Filters and sort orders need the option `query` of the client. */
export interface Query {
  filters?: Filters;
  /** Fields or paths, as in the protocol's `_sort`: `a,-b`. By default, unsent records come first, then the latest. */
  sort?: string;
  limit?: number;
}

export interface SyncOptions<T> {
  /** In place of the client's. */
  conflict?: Strategy<T>;
  /** Aborts requests and waits; what was done stays done. */
  signal?: AbortSignal;
}

export interface AutoSyncOptions<T> extends SyncOptions<T> {
  /** The pause between two synchronizations in milliseconds: 60 000. It doubles after each failure, up to an hour. */
  interval?: number;
}

export interface LiveOptions<T> extends AutoSyncOptions<T> {
  /** How long a stream can be silent before the client connects again, in milliseconds: 45 000. */
  idle?: number;
}

export class Resource<T = any> {
  /**
   * The server's record, or the local one if it was changed, or if the server can't be reached.
   *
   * Null without such a record on the server; the local record is only removed by the next synchronization.
   */
  get(id: string, options?: { signal?: AbortSignal }): Promise<Saved<T> | null>;
  list(query?: Query): Promise<Saved<T>[]>;
  filter(filters: Filters, options?: Omit<Query, 'filters'>): Promise<Saved<T>[]>;
  /** @throws {TypeError} if JSON can't represent a value, such as NaN, a Map, or an integer beyond 2^53 */
  create(data: T & { id?: string }): Promise<Saved<T>>;
  /**
   * Replace a record. If its `last_modified` isn't the latest, this is a conflict. A record without one counts as
   * never sent: this is a conflict if the server has a version by another client.
   */
  update(data: Saved<T>): Promise<Saved<T>>;
  patch(id: string, data: Partial<Saved<T>>): Promise<Saved<T>>;
  delete(id: string): Promise<null>;
  /** The records with changes that the server doesn't have. */
  pending(): Promise<Pending<T>[]>;
  conflicts(): Promise<Pending<T>[]>;
  /** End a conflict, or give up changes that are refused (`'server'`). Nothing is sent before `sync()`. */
  resolve(conflict: Pending<T>, choice: Choice<T>): Promise<void>;
  /**
   * Call a function after each change, here or, with a store that has a name, in another page. Errors of the function
   * are reported as uncaught.
   *
   * @returns a function that ends it
   */
  subscribe(listener: (change: Change<T>) => void): () => void;
  /** @throws {ResponseError} when the server refuses all of it; the next one goes on from there */
  sync(options?: SyncOptions<T>): Promise<Result<T>>;
  /**
   * Synchronize immediately, after each change, when the page is shown or online again, and after pauses; not while
   * the page is hidden or offline. The client dispatches `sync` or `error` after each one. Requires the option `live`
   * of the client.
   *
   * @returns a function that ends it, and aborts its requests
   */
  autoSync(options?: AutoSyncOptions<T>): () => void;
  /**
   * Synchronize as `autoSync()` does, and call a function after each change, as `subscribe()` does. If the server can
   * stream changes, they arrive within a second, and nothing is polled. Pages that share a store share the stream.
   *
   * @returns a function that stops the synchronization and the calls
   */
  live(listener: (change: Change<T>) => void, options?: LiveOptions<T>): () => void;
  /** Forget the copy of the server's records, and the changes that were not sent unless they are kept. */
  reset(options?: { keepChanges?: boolean }): Promise<void>;
  /** End all subscriptions. */
  close(): void;
}

export interface ClientOptions {
  /** The URL of the service, with or without the version. */
  server: string;
  /** A name of the user: in one store, each user has separate records. Give one, or a store for each user. */
  user?: string;
  /** By default a `MemoryStore`. */
  store?: Store;
  /**
   * Returns the headers of each attempt of a request. After a 401, it is called once more with the error: if the headers
   * are others then, the request is sent again.
   */
  auth?: (expired?: ResponseError) => Record<string, string> | Promise<Record<string, string>>;
  /** Without one, conflicts are left to `resolve()`. */
  conflict?: Strategy<any>;
  /** The function `query` of `cliquet/query`, for filters and sort orders. */
  query?: <T>(records: Saved<T>[], query: Query) => Saved<T>[];
  /** The function `live` of `cliquet/live`, for `live()` and `autoSync()`. */
  live?: (resource: Resource, options?: LiveOptions<any>, streams?: boolean) => () => void;
  /** The most requests in a batch; the server may allow fewer. */
  batchSize?: number;
  /** How often a request is tried again: 4. */
  retries?: number;
  /** Before the first of these, in milliseconds: 1000; it doubles each time. */
  delay?: number;
  /** The longest duration of an attempt, in milliseconds: 60 000. */
  timeout?: number;
  /** Sends the requests. Its responses have their bodies as streams, as those of browsers and Node.js. */
  fetch?: typeof fetch;
  /** Those of the browser, where it has some; null for none. */
  locks?: Pick<LockManager, 'request'> | null;
}

/**
 * Events, each with a `detail`:
 *
 * - `progress`: `{path, step, pulled, pushed}`, and the other fields of the result so far
 * - `sync`: `{path}` and the fields of the result, after an automatic synchronization
 * - `error`: `{path, error}`, after an automatic synchronization that failed
 * - `unverified`: `{path}`, after a synchronization whose copy isn't what the server has, even after a comparison of all
 *   records; the next synchronization compares them again
 * - `damaged`: `{path, id}` of an item of the store that can't be read; the next synchronization fetches the record
 * - `waiting`: `{seconds}`, as the server asks, at most a day
 * - `alert`: `{code, message, url}`
 */
export class Client extends EventTarget {
  constructor(options: ClientOptions);
  readonly server: string;
  /**
   * @param path of the collection, without the version: `/articles`
   * @throws {DOMException} an `AbortError`, after `close()`
   */
  resource<T = any>(path: string): Resource<T>;
  /** The description of the service. */
  hello(options?: { signal?: AbortSignal }): Promise<any>;
  /**
   * Send another request, with the same retries and waits.
   *
   * The body is the value of the JSON or, if the response is a stream of events, its `ReadableStream`.
   *
   * @throws {ResponseError} if the response isn't a success, or is neither JSON nor a stream of events
   */
  request(
    method: string,
    path: string,
    options?: { headers?: Record<string, string>; body?: unknown; signal?: AbortSignal },
  ): Promise<{ status: number; headers: Headers; body: any; url: string }>;
  /** Abort all requests, end subscriptions and automatic synchronization, and close the store. */
  close(): Promise<void>;
  /** Remove the records of this service and user from the store, with the changes that were not sent, and close. */
  destroy(): Promise<void>;
}

/** The error of the protocol: `body` has its `errno`. */
export class ResponseError extends Error {
  readonly status: number;
  readonly body: any;
}

/** Keeps items until the page is closed. */
export class MemoryStore implements Store {
  getAll(prefixes: string[]): Promise<[key: string, value: any][]>;
  write(changes: [key: string, value?: any][]): Promise<boolean>;
}

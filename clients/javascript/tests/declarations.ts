// The declarations have the members of the source; only the compiler reads this file.

import type * as core from '../cliquet.js';
import type { IndexedDBStore as DeclaredStore } from '../indexeddb.js';
import type { IndexedDBStore as SourceStore } from '../src/indexeddb.js';
import type * as source from '../src/index.js';

type Declared = typeof core & { IndexedDBStore: typeof DeclaredStore };
type Source = typeof source & { IndexedDBStore: typeof SourceStore };
type Members<T extends { prototype: unknown }> = Exclude<keyof T['prototype'], `_${string}`>;

type Same<A, B> = [A] extends [B]
  ? [B] extends [A]
    ? true
    : ['undeclared', Exclude<B, A>]
  : ['missing', Exclude<A, B>];

export const haveTheSameMembers: { [N in keyof Declared]: Same<Members<Declared[N]>, Members<Source[N]>> } = {
  Client: true,
  IndexedDBStore: true,
  MemoryStore: true,
  Resource: true,
  ResponseError: true,
};

type Public<T> = {
  [K in Exclude<keyof T, `_${string}`>]: T[K] extends (...operands: infer P) => unknown
    ? (...operands: P) => unknown
    : T[K];
};

/** A function of the source accepts what is declared. */
export const accepts = (
  client: Public<source.Client>,
  memory: Public<source.MemoryStore>,
  indexedDB: Public<SourceStore>,
): [Omit<Public<core.Client>, 'resource'>, Public<core.MemoryStore>, Public<DeclaredStore>] => [
  client,
  memory,
  indexedDB,
];

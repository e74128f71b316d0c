// The declarations have the members of the source; only the compiler reads this file.

import type * as declared from '../cliquet.js';
import type * as source from '../src/index.js';

type Name = keyof typeof declared;
type Members<T extends { prototype: unknown }> = Exclude<keyof T['prototype'], `_${string}`>;

type Same<A, B> = [A] extends [B]
  ? [B] extends [A]
    ? true
    : ['undeclared', Exclude<B, A>]
  : ['missing', Exclude<A, B>];

export const haveTheSameMembers: { [N in Name]: Same<Members<(typeof declared)[N]>, Members<(typeof source)[N]>> } = {
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
  indexedDB: Public<source.IndexedDBStore>,
): [Omit<Public<declared.Client>, 'resource'>, Public<declared.MemoryStore>, Public<declared.IndexedDBStore>] => [
  client,
  memory,
  indexedDB,
];

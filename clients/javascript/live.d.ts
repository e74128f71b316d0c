import type { ClientOptions } from './cliquet.js';

/** Synchronize a resource automatically: the option `live` of a client. */
export const live: NonNullable<ClientOptions['live']>;

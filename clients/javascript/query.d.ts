import type { ClientOptions } from './cliquet.js';

/** Select records by filters, and sort them: the option `query` of a client. */
export const query: NonNullable<ClientOptions['query']>;

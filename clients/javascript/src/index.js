/** An offline-first client for the resources of any Cliquet service. Its types are in cliquet.d.ts. */

export { Client } from './client.js';
export { ResponseError } from './errors.js';
export { Resource } from './resource.js';
export { MemoryStore } from './memory.js';

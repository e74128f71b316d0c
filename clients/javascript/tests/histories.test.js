/** Random histories in Node. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { run, runAll } from './history.js';
import { SERVERS } from './support.js';

const HISTORIES = Number(process.env.HISTORIES ?? 12);

/** A network that hides the checksums of the server. */
async function withoutChecksum(url, options) {
  const response = await fetch(url, options);
  const headers = new Headers(response.headers);
  headers.delete('Checksum');
  return Object.defineProperty(response, 'headers', { value: headers });
}

describe('replicas and server agree after any history', { concurrency: true }, () => {
  for (const [engine, server] of Object.entries(SERVERS)) {
    test(`on ${engine}`, { timeout: 600_000 }, () => runAll(HISTORIES, server));
  }
});

test('without checksums, some copies are wrong', { timeout: 600_000 }, async (t) => {
  for (let seed = 10; seed < 60; seed++) {
    t.diagnostic(`SEED=${seed}`);
    const failure = await run(SERVERS.postgresql, seed, { network: withoutChecksum }).catch((error) => error);
    if (failure) return assert.equal(failure.code, 'ERR_ASSERTION', failure.message);
  }
  return assert.fail('no history has failed');
});

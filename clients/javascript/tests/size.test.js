/** What the browser has to load. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const HERE = new URL('..', import.meta.url);
const BUILT = new URL('dist/cliquet.min.js', HERE);

test('minified and compressed, the module has at most 5000 bytes, and all of its exports', async (t) => {
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: HERE, stdio: ['ignore', 'ignore', 'inherit'] });
  const { length } = gzipSync(readFileSync(BUILT), { level: 9 });
  t.diagnostic(`${length} bytes`);
  assert.ok(length <= 5000, `${length} bytes`);
  const [built, source] = await Promise.all([import(BUILT), import('../cliquet.js')]);
  assert.deepEqual(Object.keys(built), Object.keys(source));
});

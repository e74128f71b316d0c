/** The declarations in TypeScript. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as cliquet from '../cliquet.js';

test('the declarations are of all that is exported', () => {
  const source = readFileSync(new URL('../cliquet.d.ts', import.meta.url), 'utf8');
  const declared = [...source.matchAll(/^export class (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), Object.keys(cliquet).sort());
});

test('the type declarations accept right calls, reject wrong ones, and match the source', () => {
  const options = ['--noEmit', '--strict', '--allowJs', '--skipLibCheck', '--target', 'es2022', '--module', 'nodenext'];
  execFileSync('node_modules/.bin/tsc', [...options, 'tests/types.ts', 'tests/declarations.ts'], {
    cwd: new URL('..', import.meta.url),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
});

/** The declarations in TypeScript. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as cliquet from '../cliquet.js';

test('the declarations are of all that is exported', () => {
  const source = readFileSync(new URL('../cliquet.d.ts', import.meta.url), 'utf8');
  const declared = [...source.matchAll(/^export class (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), Object.keys(cliquet));
});

test('the compiler takes what is right, and refuses what is wrong', () => {
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext'];
  execFileSync('npx', ['--no-install', 'tsc', ...options, 'tests/types.ts'], {
    cwd: new URL('..', import.meta.url),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
});

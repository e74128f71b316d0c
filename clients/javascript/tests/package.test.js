/** The package: its bundle, its format, and its files. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

const HERE = new URL('..', import.meta.url);
const LIMIT = 8.5 * 1024; // bytes, compressed with gzip

const read = (path) => readFile(new URL(path, HERE), 'utf8');

/** Run a command in the folder of the package, and return its output. */
async function run(command, ...operands) {
  const options = { cwd: HERE, maxBuffer: 2 ** 24 };
  const { stdout } = await promisify(execFile)(command, operands, options).catch(({ stdout, stderr }) => {
    throw new Error(stdout + stderr);
  });
  return stdout;
}

test('the bundle is what npm run build builds', async () => {
  const { build } = JSON.parse(await read('package.json')).scripts;
  const built = await run('npx', '--no-install', '-c', build.replace(/ --output \S+$/, ''));
  assert.ok(built.trim() === (await read('cliquet.js')).trim(), 'run npm run build');
});

test(`the compressed bundle has at most ${LIMIT} bytes`, async (t) => {
  const { length } = gzipSync(await read('cliquet.js'), { level: 9 });
  t.diagnostic(`${length} bytes`);
  assert.ok(length <= LIMIT, `${length} bytes`);
});

test('the source follows the rules of ESLint and the format of Prettier', async () => {
  await run('node_modules/.bin/eslint', '.');
  await run('node_modules/.bin/prettier', '--check', '.');
});

test('npm pack packs the bundle, its types, its source and its license', async () => {
  const [{ files }] = JSON.parse(await run('npm', 'pack', '--dry-run', '--json', '--ignore-scripts'));
  const paths = files.map(({ path }) => path).filter((path) => !path.startsWith('src/'));
  assert.deepEqual(paths.sort(), ['LICENSE', 'README.md', 'cliquet.d.ts', 'cliquet.js', 'package.json']);
  assert.ok(files.some(({ path }) => path === 'src/index.js'));
  assert.equal(await read('LICENSE'), await read('../../LICENSE'));
});

/** The package: its bundle, its format, and its files. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

const HERE = new URL('..', import.meta.url);
const LIMIT = 7000; // bytes, compressed with gzip
const MODULES = ['cliquet', 'indexeddb', 'live', 'query'];

const read = (path) => readFile(new URL(path, HERE), 'utf8');

/** Run a command in the folder of the package, and return its output. */
async function run(command, ...operands) {
  const options = { cwd: HERE, maxBuffer: 2 ** 24 };
  const { stdout } = await promisify(execFile)(command, operands, options).catch(({ stdout, stderr }) => {
    throw new Error(stdout + stderr);
  });
  return stdout;
}

test('the bundles are up to date', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'build-'));
  t.after(() => rm(folder, { recursive: true }));
  await run('node', 'build.js', folder);
  for (const name of MODULES) {
    assert.ok((await readFile(join(folder, `${name}.js`), 'utf8')) === (await read(`${name}.js`)), 'run npm run build');
  }
});

test('each module can be imported by its name', async () => {
  const { exports } = JSON.parse(await read('package.json'));
  assert.deepEqual(Object.keys(exports), ['.', './indexeddb', './live', './query']);
  const { Client } = await import('cliquet');
  const { live } = await import('cliquet/live');
  const { query } = await import('cliquet/query');
  const articles = new Client({ server: 'http://127.0.0.1', live, query }).resource('/articles');
  assert.deepEqual(await articles.filter({ title: 'Hello' }), []);
  assert.equal(typeof (await import('cliquet/indexeddb')).IndexedDBStore, 'function');
});

test('methods that need an optional module throw an error with its name', async () => {
  const { Client } = await import('cliquet');
  const articles = new Client({ server: 'http://127.0.0.1' }).resource('/articles');
  await articles.create({ title: 'Hello' });
  assert.equal((await articles.list({ limit: 1 })).length, 1);
  await assert.rejects(articles.filter({ title: 'Hello' }), /Needs the option query/);
  assert.throws(() => articles.live(() => {}), /live is not a function/);
  assert.throws(() => articles.autoSync(), /live is not a function/);
});

test(`the compressed core has at most ${LIMIT} bytes`, async (t) => {
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
  const modules = MODULES.flatMap((name) => [`${name}.d.ts`, `${name}.js`]);
  assert.deepEqual(paths.sort(), ['LICENSE', 'README.md', ...modules, 'package.json'].sort());
  assert.ok(files.some(({ path }) => path === 'src/index.js'));
  assert.equal(await read('LICENSE'), await read('../../LICENSE'));
});

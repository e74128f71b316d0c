/** The code of the guide and of the README is run, with another resource, store and credentials. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { basic, recordsOf, SERVERS } from './support.js';

const README = new URL('../README.md', import.meta.url);
const GUIDE = new URL('../../../docs/howto/synchronise-javascript.rst', import.meta.url);
const PLACES = new Map([
  ['./cliquet.js', new URL('../cliquet.js', import.meta.url).href],
  ['https://api.server.com', SERVERS.sqlite],
  ['./indexeddb.js', new URL('../cliquet.js', import.meta.url).href],
  ['./live.js', new URL('../live.js', import.meta.url).href],
  ['./query.js', new URL('../query.js', import.meta.url).href],
  ['IndexedDBStore', 'MemoryStore'],
  ['Bearer ', 'Basic '],
  ['/articles', '/bookmarks'], // whose lists their users may read
  ['create({', "create({ url: 'https://www.example.com/',"],
]);

/** The JavaScript of a page, with what is here in the place of what it shows. */
async function blocksOf(page, pattern = /code-block:: javascript\n\n((?: {4}.*\n|\n)+)/g) {
  const text = await readFile(page, 'utf8');
  const blocks = [...text.matchAll(pattern)];
  return blocks.map(([, block]) => [...PLACES].reduce((code, [shown, here]) => code.replaceAll(shown, here), block));
}

/** Run parts of a program as one module, in which the names of an object are known. */
async function run(t, parts, names) {
  const folder = await mkdtemp(join(tmpdir(), 'guide-'));
  t.after(() => rm(folder, { recursive: true }));
  globalThis.namesOfTheGuide = names;
  const path = join(folder, 'guide.mjs');
  await writeFile(path, [`const { ${Object.keys(names)} } = namesOfTheGuide;`, ...parts].join('\n'));
  await import(pathToFileURL(path));
}

const tokenOf = (user) => basic(user).Authorization.replace('Basic ', '');

test('the README keeps a record, finds it, and synchronizes', async (t) => {
  const user = randomUUID();
  await run(t, await blocksOf(README, /```javascript\n([^]+?\n)```/g), { token: tokenOf(user) });
  const titles = (await recordsOf(SERVERS.sqlite, basic(user), '/bookmarks')).map(({ title }) => title);
  assert.deepEqual(titles, ['Hello world']);
});

test('the guide resolves a conflict and reports it', async (t) => {
  const user = randomUUID();
  const calls = [];
  const names = {
    calls,
    token: tokenOf(user),
    render: () => calls.push('render'),
    show: (...what) => calls.push(what),
    changeOnServer: ({ id }, title) =>
      fetch(`${SERVERS.sqlite}/v1/bookmarks/${id}`, {
        method: 'PATCH',
        headers: { ...basic(user), 'Content-Type': 'application/json' },
        body: JSON.stringify({ data: { title } }),
      }),
  };
  const [use, synchronize, stream, verify, endConflicts, follow] = await blocksOf(GUIDE);
  const both = "await changeOnServer(article, 'there'); await articles.patch(article.id, { title: 'here' });";
  const change =
    'calls.push((await articles.get(article.id)).title);' +
    "await articles.patch(article.id, { title: 'again' }); await articles.sync();";
  await run(
    t,
    [use, both, endConflicts, verify, follow, change, synchronize, stream, 'end(); stop(); await client.close();'],
    names,
  );
  assert.equal(calls.shift(), 'there / here');
  const [{ title }] = await recordsOf(SERVERS.sqlite, basic(user), '/bookmarks');
  assert.equal(title, 'again');
  assert.ok(calls.includes('render'));
  assert.ok(calls.some((what) => Array.isArray(what)));
});

/**
 * Measure the client in Node and in Chromium, and print a table for each.
 *
 *     node run.js SERVER COUNT...       with CHROMIUM in the environment, its path
 */

import { readFile } from 'node:fs/promises';
import { Client, MemoryStore } from '../cliquet.js';
import { query } from '../query.js';
import { launch } from '../tests/browser.js';
import { measure } from './measure.js';

const [server, ...counts] = process.argv.slice(2);
const { CHROMIUM } = process.env;

async function measureInPage(page, count) {
  await page.evaluate(`globalThis.measure = ${measure}`);
  return page.evaluate(
    async ([server, count]) => {
      const { Client } = await import('/cliquet.js');
      const { IndexedDBStore } = await import('/indexeddb.js');
      const { query } = await import('/query.js');
      return globalThis.measure(Client, { server, query }, count, (name) => new IndexedDBStore(name));
    },
    [server, count],
  );
}

/** Print the durations, and how each grew from the smallest number of records to the largest. */
async function report(title, measureOne) {
  const rows = [];
  for (const count of counts) rows.push(await measureOne(Number(count)));
  console.log(`\n${title}, milliseconds`);
  console.log(['operation', ...counts].map((cell) => cell.padStart(12)).join(''));
  for (const name of Object.keys(rows[0])) {
    console.log([name.padStart(12), ...rows.map((row) => row[name].toFixed(2).padStart(12))].join(''));
  }
}

await report('Node', (count) => measure(Client, { server, query }, count, () => new MemoryStore()));
if (CHROMIUM) {
  const browser = await launch(CHROMIUM);
  const page = await browser.newPage();
  for (const name of ['cliquet.js', 'indexeddb.js', 'query.js']) {
    const body = await readFile(new URL(`../${name}`, import.meta.url), 'utf8');
    await page.route(`**/${name}`, (route) => route.fulfill({ contentType: 'text/javascript', body }));
  }
  await page.route('**/page', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }));
  await page.goto(`${new URL('/page', server)}`);
  await report('Chromium', (count) => measureInPage(page, count));
  await browser.close();
}

/**
 * Measure the client in Node and in Chromium, and print a table for each.
 *
 *     node run.js SERVER COUNT...       with CHROMIUM in the environment, its path
 */

import { readFile } from 'node:fs/promises';
import * as cliquet from '../cliquet.js';
import { launch } from '../tests/browser.js';
import { measure } from './measure.js';

const [server, ...counts] = process.argv.slice(2);
const { CHROMIUM } = process.env;

async function measureInPage(page, count) {
  await page.evaluate(`globalThis.measure = ${measure}`);
  return page.evaluate(
    async ([server, count]) => {
      const cliquet = await import('/cliquet.js');
      return globalThis.measure(cliquet, server, count, (name) => new cliquet.IndexedDBStore(name));
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

await report('Node', (count) => measure(cliquet, server, count, () => new cliquet.MemoryStore()));
if (CHROMIUM) {
  const browser = await launch(CHROMIUM);
  const page = await browser.newPage();
  const bundle = await readFile(new URL('../cliquet.js', import.meta.url), 'utf8');
  await page.route('**/cliquet.js', (route) => route.fulfill({ contentType: 'text/javascript', body: bundle }));
  await page.route('**/page', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }));
  await page.goto(`${new URL('/page', server)}`);
  await report('Chromium', (count) => measureInPage(page, count));
  await browser.close();
}

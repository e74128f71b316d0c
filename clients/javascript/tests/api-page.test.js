/** The page of the example application's API, in Chromium, where nothing but the application can be reached. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import { describeInChromium } from './browser.js';
import { basic, recordsOf, SERVERS } from './support.js';

const SERVER = SERVERS.sqlite;

describeInChromium('page of the API', {}, (newContext) => {
  let page;
  const elsewhere = [];
  const wrong = [];

  before(async () => {
    const context = await newContext();
    await context.route('**', (route) => {
      const isHere = route.request().url().startsWith(SERVER) || route.request().url().startsWith('data:');
      if (!isHere) elsewhere.push(route.request().url());
      return isHere ? route.continue() : route.abort();
    });
    page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on('pageerror', (error) => wrong.push(error.message));
    page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()));
    await page.goto(`${SERVER}/v1/__api__/`);
  });

  test('shows the operations without requests to other hosts', async () => {
    await page.locator('.opblock').first().waitFor();
    assert.match(await page.locator('.info .title').innerText(), /bookmarks/);
    const { paths } = await (await fetch(`${SERVER}/v1/__api__`)).json();
    const shown = await page.locator('.opblock-summary-path').evaluateAll((all) => all.map((one) => one.dataset.path));
    assert.deepEqual(new Set(shown), new Set(Object.keys(paths)));
    assert.deepEqual(elsewhere, []);
    assert.deepEqual(wrong, []);
  });

  test('shows HEAD and OPTIONS only on request', async () => {
    const methods = async () => new Set(await page.locator('.opblock-summary-method').allInnerTexts());
    assert.deepEqual(await methods(), new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']));
    const toggle = page.getByLabel('Show HEAD and OPTIONS');
    await toggle.check();
    await page.locator('.opblock-options').first().waitFor();
    assert.ok((await methods()).has('HEAD'));
    await toggle.uncheck();
    await page.locator('.opblock-options').first().waitFor({ state: 'detached' });
  });

  test('tries an operation out as the user of Basic auth', async () => {
    const user = randomUUID();
    await page.locator('.scheme-container button.authorize').click();
    const dialog = page.locator('.dialog-ux');
    await dialog.locator('input[name=username]').fill(user);
    await dialog.locator('input[type=password]').fill('secret');
    await dialog.locator('button.authorize').click();
    await dialog.locator('.btn-done').click();

    const operation = page.locator('.opblock-post').filter({ has: page.locator('[data-path="/bookmarks"]') });
    await operation.locator('.opblock-summary-control').click();
    await operation.getByRole('button', { name: 'Try it out' }).click();
    await operation.getByRole('button', { name: 'Execute' }).click();
    await operation.locator('.live-responses-table tbody .response-col_status').getByText('201').waitFor();

    const [record, ...others] = await recordsOf(SERVER, basic(user), '/bookmarks');
    assert.equal(record.url, 'https://www.example.com/');
    assert.ok(record.last_modified > Date.now() - 60_000); // so that clients that poll for changes see it
    assert.deepEqual(others, []);
    assert.deepEqual(wrong, []);
  });

  test('folds filters into one parameter', async () => {
    const operation = page.locator('.opblock-get').filter({ has: page.locator('[data-path="/bookmarks"]') });
    await operation.locator('.opblock-summary-control').click();
    const names = await operation.locator('.parameter__name').allInnerTexts();
    assert.deepEqual(
      names.filter((name) => !/^(_|If-)/.test(name)),
      ['filters'],
    );
    await operation.getByRole('button', { name: 'Try it out' }).click();
    await operation
      .getByRole('row', { name: /^filters/ })
      .locator('textarea')
      .fill('{"title": "x", "min_last_modified": "5"}');
    const sent = page.waitForRequest(/bookmarks\?(.*&)?title=x&min_last_modified=5$/);
    await operation.getByRole('button', { name: 'Execute' }).click();
    await sent;
    await operation.locator('.live-responses-table').waitFor();
    assert.deepEqual(wrong, []);
  });
});

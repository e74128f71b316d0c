/** The page of the example application's API, in Chromium, where nothing but the application can be reached. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { launch } from './browser.js';
import { basic, recordsOf, SERVERS } from './support.js';

const { CHROMIUM } = process.env;
const SERVER = SERVERS.sqlite;
const BODY = { data: { url: 'https://www.example.com/', title: 'Tried out' } };

describe('page of the API', { skip: !CHROMIUM && 'there is no chromium' }, () => {
  let browser, page;
  const elsewhere = [];
  const wrong = [];

  before(async () => {
    browser = await launch(CHROMIUM);
    const context = await browser.newContext();
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

  after(() => browser?.close());

  test('shows the operations, and asks nobody else', async () => {
    await page.locator('.opblock').first().waitFor();
    assert.match(await page.locator('.info .title').innerText(), /bookmarks/);
    const { paths } = await (await fetch(`${SERVER}/v1/__api__`)).json();
    const shown = await page.locator('.opblock-summary-path').evaluateAll((all) => all.map((one) => one.dataset.path));
    assert.deepEqual(new Set(shown), new Set(Object.keys(paths)));
    assert.deepEqual(elsewhere, []);
    assert.deepEqual(wrong, []);
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
    await operation.locator('textarea.body-param__text').fill(JSON.stringify(BODY));
    await operation.getByRole('button', { name: 'Execute' }).click();
    await operation.locator('.live-responses-table tbody .response-col_status').getByText('201').waitFor();

    const [record, ...others] = await recordsOf(SERVER, basic(user), '/bookmarks');
    assert.equal(record.title, BODY.data.title);
    assert.deepEqual(others, []);
    assert.deepEqual(wrong, []);
  });
});

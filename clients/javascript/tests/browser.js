/** Chromium, and the actions of users on the demo page. */

import { after, before, describe } from 'node:test';
import { chromium } from 'playwright-core';

const { CHROMIUM } = process.env;
const TIMEOUT = 30_000; // so that a test doesn't wait for ever

export function launch(executablePath) {
  return chromium.launch({ executablePath, args: ['--no-sandbox'] }); // which Chromium requires for root
}

/** Define a test suite in Chromium: call `define` with a function that creates browser contexts. */
export function describeInChromium(name, options, define) {
  describe(name, { ...options, skip: !CHROMIUM && 'Chromium is not installed' }, () => {
    let browser;
    before(async () => {
      browser = await launch(CHROMIUM);
    });
    after(() => browser?.close());
    define(() => browser.newContext());
  });
}

/** A window on the demo page. */
export class Window {
  constructor(page) {
    page.setDefaultTimeout(TIMEOUT);
    this.page = page;
    this.list = page.locator('#list > li');
  }

  static async open(context, server) {
    const window = new Window(await context.newPage());
    await window.page.goto(`${server}/demo/`);
    return window;
  }

  /** Type a name, and wait until the page can be opened without a network too. */
  async signIn(user) {
    await this.page.getByLabel('Name').fill(user);
    await this.press('Open the list');
    await this.page.waitForFunction(() => navigator.serviceWorker.controller);
    await this.waitForStatus('Everything is synchronized and verified.');
  }

  press(name) {
    return this.page.getByRole('button', { name, exact: true }).click();
  }

  /** Wait until the page shows a status. */
  waitForStatus(text) {
    return this.page.getByText(text).waitFor();
  }

  /** Wait until a record has a state. */
  shows(title, state) {
    return this.list
      .and(this.page.locator(`[data-state=${state}]`))
      .filter({ hasText: title })
      .waitFor();
  }

  async workOffline(isOffline) {
    await this.page.getByText('Work offline').click();
    if (isOffline) await this.waitForStatus('Offline.');
  }

  async add(url, title) {
    const form = this.page.locator('#add');
    await form.getByLabel('Address').fill(url);
    await form.getByLabel('Title').fill(title);
    await form.getByRole('button').click();
    await this.list.filter({ hasText: title }).waitFor();
  }

  async rename(title, newTitle) {
    await this.press(`Edit: ${title}`);
    const form = this.list.locator('form');
    await form.getByLabel('Title').fill(newTitle);
    await form.getByText('Save').click();
    await form.waitFor({ state: 'detached' });
  }

  titles() {
    return this.list.locator('.title').allTextContents();
  }
}

/** The demo page of the example application, in Chromium. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { describeInChromium, Window } from './browser.js';
import { Gate } from './gate.js';
import { basic, recordsOf, SERVERS } from './support.js';

const URL_ = 'https://www.example.com/';

/** Wait until the titles of the server's records are those that are wanted. */
async function untilServer(server, user, areWanted) {
  for (;;) {
    const records = await recordsOf(server, basic(user), '/bookmarks');
    if (areWanted(records.map(({ title }) => title).sort())) return;
    await setTimeout(50);
  }
}

const untilServerHas = (server, user, expected) =>
  untilServer(server, user, (titles) => titles.join() === expected.join());

describeInChromium('the demo page', { concurrency: 3, timeout: 300_000 }, (newContext) => {
  const server = SERVERS.sqlite;

  /** A user with some browsers, each with a window on a list of its own. */
  async function using(t, { browsers = 1 } = {}) {
    const gate = new Gate(server);
    await gate.open();
    const contexts = await Promise.all(Array.from({ length: browsers }, newContext));
    t.after(async () => {
      await Promise.all(contexts.map((context) => context.close()));
      await gate.shut();
    });
    const user = randomUUID();
    const windows = await Promise.all(contexts.map((context) => Window.open(context, gate.url)));
    await Promise.all(windows.map((window) => window.signIn(user)));
    return { gate, user, contexts, windows };
  }

  test('opens without the server, keeps what is changed, and sends it later', async (t) => {
    const {
      gate,
      user,
      windows: [window],
    } = await using(t);
    await window.add(URL_, 'first');
    await window.shows('first', 'synced');
    const names = await window.page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
    assert.deepEqual(names, ['cliquet-demo 1']);

    await gate.shut();
    await window.page.reload();
    await window.waitForStatus('The server is unreachable.');
    await window.shows('first', 'synced');
    await window.rename('first', 'second');
    await window.add(`${URL_}2`, 'third');
    await window.page.reload();
    await window.shows('second', 'pending');
    await window.shows('third', 'pending');

    await gate.open(gate.port);
    await window.waitForStatus('Everything is synchronized and verified.');
    await untilServerHas(server, user, ['second', 'third']);
  });

  test('shows changes of another device', async (t) => {
    const {
      gate,
      windows: [one, other],
    } = await using(t, { browsers: 2 });
    await one.add(URL_, 'first');
    await other.shows('first', 'synced');
    assert.ok(gate.streams, 'the windows poll');
    await other.rename('first', 'second');
    await one.shows('second', 'synced');
    await one.press('Delete: second');
    await other.waitForStatus('No bookmarks yet.');
  });

  test('stays offline until the user goes online again, in this window only', async (t) => {
    const {
      user,
      windows: [one, other],
    } = await using(t, { browsers: 2 });
    await one.workOffline(true);
    await one.add(URL_, 'mine');
    await other.add(`${URL_}2`, 'theirs');
    await other.shows('theirs', 'synced');
    await one.page.reload();
    await one.waitForStatus('Offline. 1 change to send.');
    assert.deepEqual(await one.titles(), ['mine']);
    await one.workOffline(false);
    await one.shows('theirs', 'synced');
    await other.shows('mine', 'synced');
    await untilServerHas(server, user, ['mine', 'theirs']);
  });

  test('shows a conflict with text typed before the record was sent', async (t) => {
    const {
      windows: [one, other],
    } = await using(t, { browsers: 2 });
    await one.workOffline(true);
    await one.add(URL_, 'first');
    await one.press('Edit: first');
    await one.workOffline(false);
    await other.shows('first', 'synced');
    await other.rename('first', 'theirs');
    await other.add(`${URL_}2`, 'later');
    await one.shows('later', 'synced');
    const form = one.list.locator('form');
    await form.getByLabel('Title').fill('mine');
    await form.getByText('Save').click();
    await one.waitForStatus('1 conflict to resolve.');
  });

  test('has windows on one list that show the same, and send it once', async (t) => {
    const {
      gate,
      user,
      contexts: [context],
      windows: [one],
    } = await using(t);
    const other = await Window.open(context, gate.url);
    await one.workOffline(true);
    await other.workOffline(true);
    for (let i = 0; i < 3; i++) {
      await Promise.all([one.add(`${URL_}a${i}`, `a${i}`), other.add(`${URL_}b${i}`, `b${i}`)]);
    }
    const titles = ['a0', 'a1', 'a2', 'b0', 'b1', 'b2'];
    for (const window of [one, other]) await window.waitForStatus('6 changes to send.');
    await Promise.all([one.workOffline(false), other.workOffline(false)]);
    for (const window of [one, other]) {
      await window.waitForStatus('Everything is synchronized and verified.');
      assert.deepEqual(await window.titles(), titles);
    }
    await untilServerHas(server, user, titles);
  });

  for (const [choice, button] of [
    ['mine', 'Keep mine: mine'],
    ['theirs', 'Keep the server’s: theirs'],
  ]) {
    test(`shows both versions of a conflict, and keeps the one that is chosen: ${choice}`, async (t) => {
      const {
        user,
        windows: [one, other],
      } = await using(t, { browsers: 2 });
      await one.add(URL_, 'first');
      await other.shows('first', 'synced');
      await one.workOffline(true);
      await one.rename('first', 'mine');
      await other.rename('first', 'theirs');
      await other.shows('theirs', 'synced');
      await one.workOffline(false);
      await one.waitForStatus('1 conflict to resolve.');
      await one.shows('theirs', 'conflict');
      await one.press(button);
      for (const window of [one, other]) await window.shows(choice, 'synced');
      await untilServerHas(server, user, [choice]);
    });
  }

  test('shows a record that others changed and that was deleted here, to choose from', async (t) => {
    const {
      user,
      windows: [one, other],
    } = await using(t, { browsers: 2 });
    await one.add(URL_, 'first');
    await other.shows('first', 'synced');
    await one.workOffline(true);
    await one.press('Delete: first');
    await other.rename('first', 'theirs');
    await other.shows('theirs', 'synced');
    await one.workOffline(false);
    await one.shows('Deleted', 'conflict');
    await one.press('Keep mine: Deleted');
    await other.waitForStatus('No bookmarks yet.');
    await untilServerHas(server, user, []);
  });

  test('shows refused changes, and discards them on request', async (t) => {
    const {
      windows: [window],
    } = await using(t);
    await window.add(URL_, 'first');
    await window.shows('first', 'synced');
    await window.add(URL_, 'again');
    await window.shows('again', 'refused');
    await window.waitForStatus('This address is already in the list.');
    await window.press('Discard the change: again');
    await window.waitForStatus('Everything is synchronized and verified.');
    assert.deepEqual(await window.titles(), ['first']);
  });

  test('loses nothing when it is reloaded during a synchronization', async (t) => {
    const {
      gate,
      user,
      windows: [window],
    } = await using(t);
    await window.workOffline(true);
    const titles = ['0', '1', '2', '3', '4'];
    for (const title of titles) await window.add(URL_ + title, title);
    gate.losesResponse = ({ method }) => method === 'POST';
    await window.workOffline(false);
    await untilServer(server, user, ({ length }) => length === 3); // the requests of a batch
    gate.losesResponse = () => false;
    await window.page.reload();
    await window.waitForStatus('Everything is synchronized and verified.');
    assert.deepEqual(await window.titles(), titles);
    await untilServerHas(server, user, titles);
  });
});

/** Takes the picture of the demo page: node picture.js SERVER FILE, with CHROMIUM in the environment. */

import { launch, Window } from './browser.js';

const [server, path] = process.argv.slice(2);
const browser = await launch(process.env.CHROMIUM);

async function open() {
  const context = await browser.newContext({ viewport: { width: 860, height: 640 }, deviceScaleFactor: 1.5 });
  const window = await Window.open(context, server);
  await window.signIn('alice');
  return window;
}

const [shown, other] = [await open(), await open()];
await shown.add('https://developer.mozilla.org/docs/Web/API/IndexedDB_API', 'IndexedDB');
await shown.add('https://www.python.org/', 'Python');
await shown.add('https://www.postgresql.org/docs/', 'The manual of PostgreSQL');
await other.shows('The manual of PostgreSQL', 'synced');
await shown.workOffline(true);
await shown.rename('Python', 'Python: the language');
await other.rename('Python', 'Python, to read about');
await other.shows('Python, to read about', 'synced');
await shown.workOffline(false);
await shown.shows('Python', 'conflict');
await shown.workOffline(true);
await shown.add('https://www.rfc-editor.org/rfc/rfc9110', 'HTTP semantics');
await shown.shows('HTTP semantics', 'pending');
await shown.page.locator('h1').click(); // no field has the focus
await shown.page.screenshot({ path, fullPage: true });
await browser.close();

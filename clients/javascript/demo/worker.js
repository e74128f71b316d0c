/** Keeps the files of the page, for it to open without a network; the requests of its client pass by. */

const FILES = [
  './',
  'demo.css',
  'demo.js',
  'session.js',
  'view.js',
  '../cliquet.js',
  '../indexeddb.js',
  '../live.js',
  '../query.js',
];
const URLS = FILES.map((file) => new URL(file, location).href);
const CACHE = 'cliquet-demo';

const open = () => caches.open(CACHE);

/** The file of the server, or the copy of it where there is no server. */
async function respond(request, url) {
  try {
    const response = await fetch(request);
    if (!response.ok) throw new Error(response.statusText);
    await (await open()).put(url, response.clone());
    return response;
  } catch (error) {
    const copy = await (await open()).match(url);
    return copy ?? Promise.reject(error);
  }
}

addEventListener('install', (event) => {
  skipWaiting();
  event.waitUntil(open().then((cache) => cache.addAll(URLS)));
});

addEventListener('activate', (event) => event.waitUntil(clients.claim()));

addEventListener('fetch', (event) => {
  const [url] = event.request.url.split(/[?#]/); // the page is the same for each device
  if (event.request.method === 'GET' && URLS.includes(url)) event.respondWith(respond(event.request, url));
});

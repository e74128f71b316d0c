/** Reactions of the client to headers and statuses of the protocol, with a fake server. */

import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { Client } from '../cliquet.js';
import { serve } from './fake.js';

const BUSY = [503, {}, { code: 503, errno: 201, message: 'busy' }];

test('temporary failures are retried after growing delays', async (t) => {
  const { articles, requests } = await serve(t, [BUSY, BUSY, BUSY]);
  await articles.sync();
  assert.equal(requests.length, 4);
  const [first, second, third] = requests.slice(1).map(({ time }, i) => time - requests[i].time);
  assert.ok(first >= 9 && second >= 19 && third >= 39, `${first} ${second} ${third}`);
});

test('after the last attempt, the failure is reported', async (t) => {
  const { articles, requests } = await serve(t, Array(9).fill(BUSY));
  await assert.rejects(articles.sync(), { status: 503, message: '503 busy' });
  assert.equal(requests.length, 5);
});

test('Retry-After is obeyed and reported', async (t) => {
  const { client, articles, requests } = await serve(t, [[503, { 'Retry-After': '1' }]]);
  const waits = [];
  client.addEventListener('waiting', ({ detail }) => waits.push(detail.seconds));
  await articles.sync();
  assert.ok(requests[1].time - requests[0].time >= 990);
  assert.ok(waits.length === 1 && waits[0] > 0.8 && waits[0] <= 1, `${waits}`);
});

test('Retry-After may be a date', async (t) => {
  const date = new Date(Date.now() + 2000);
  const { articles, requests } = await serve(t, [[503, { 'Retry-After': date.toUTCString() }]]);
  await articles.sync();
  assert.ok(requests[1].time >= Math.floor(date / 1000) * 1000 - 10);
});

test('Backoff delays the next request, while local reads continue', async (t) => {
  const { articles, requests } = await serve(t, [[200, { ETag: '"5"', Backoff: '1' }, { data: [] }]]);
  await articles.sync();
  assert.equal(await articles.get('a'), null);
  assert.equal(requests.length, 1);
  await articles.sync();
  assert.ok(requests[1].time - requests[0].time >= 990);
});

test('the signal ends a pause', async (t) => {
  const { client, articles, requests } = await serve(t, [[503, { 'Retry-After': '3600' }]]);
  const controller = new AbortController();
  client.addEventListener('waiting', () => setTimeout(() => controller.abort()));
  await assert.rejects(articles.sync({ signal: controller.signal }), { name: 'AbortError' });
  await assert.rejects(articles.sync({ signal: AbortSignal.abort() }), { name: 'AbortError' });
  assert.equal(requests.length, 1);
});

test('an aborted get is an error, although there is a local record', async (t) => {
  const { articles } = await serve(t, [[200, { ETag: '"5"' }, { data: [{ id: 'a', last_modified: 3 }] }]]);
  await articles.sync();
  assert.equal((await articles.get('a')).id, 'a');
  await assert.rejects(articles.get('a', { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

test('Alert is an event', async (t) => {
  const alert = { code: 'soft-eol', message: 'It ends.', url: 'https://www.example.com' };
  const { client, articles } = await serve(t, [[304, { ETag: '"5"', Alert: JSON.stringify(alert) }]]);
  const alerts = [];
  client.addEventListener('alert', ({ detail }) => alerts.push(detail));
  await articles.sync();
  assert.deepEqual(alerts, [alert]);
});

test('an Alert header that is not JSON is ignored', async (t) => {
  const { client, articles, requests } = await serve(t, [[304, { ETag: '"5"', Alert: 'Disk full' }]]);
  client.addEventListener('alert', () => assert.fail());
  await articles.sync();
  assert.equal(requests.length, 1);
});

test('no requests are sent after the end of life of the service, and local records remain', async (t) => {
  const { articles, requests } = await serve(t, [[410, {}, { code: 410, errno: 202 }]]);
  const made = await articles.create({ title: 'Hello' });
  await assert.rejects(articles.sync(), { status: 410 });
  await assert.rejects(articles.sync(), { status: 410 });
  assert.equal(requests.length, 1);
  assert.deepEqual(await articles.list(), [made]);
});

test('invalid credentials are reported immediately, with the error of the protocol', async (t) => {
  const { articles, requests } = await serve(t, [[401, {}, { code: 401, errno: 104, message: 'Please' }]]);
  const body = { code: 401, errno: 104, message: 'Please' };
  await assert.rejects(articles.sync(), { status: 401, body });
  assert.equal(requests.length, 1);
});

test('changes stay pending if the credentials are refused within a batch', async (t) => {
  const refused = { status: 401, body: { errno: 104 } };
  const { articles } = await serve(t, [undefined, [200, {}, { responses: [refused] }]]);
  await articles.create({ title: 'Hello' });
  await assert.rejects(articles.sync(), { status: 401 });
  assert.equal((await articles.pending()).length, 1);
});

/** A server that fails or refuses each batch with some record, as a whole. */
async function refusing(t, [status, title]) {
  const { client, articles, requests } = await serve(t, []);
  Object.assign(client, { retries: 1, delay: 1 });
  const { fetch } = client;
  client.fetch = (url, { body, ...options }) => {
    if (!body) return fetch(url, options);
    const batch = JSON.parse(body).requests;
    requests.push(batch);
    const isWrong = batch.some(({ body }) => body.data.title.startsWith(title));
    const responses = batch.map(({ body: { data } }) => ({
      status: 201,
      body: { data: { ...data, last_modified: 4 } },
    }));
    const [code, content] = isWrong ? [status, { message: 'no' }] : [200, { responses }];
    return Response.json(content, { status: code });
  };
  for (const made of ['one', 'wrong', 'two']) await articles.create({ title: made });
  return { articles, requests };
}

for (const status of [400, 403, 404, 413, 414, 422, 451, 500, 501]) {
  test(`a record for which the server refuses a batch with ${status} does not block others`, async (t) => {
    const { articles } = await refusing(t, [status, 'wrong']);
    const { pushed, errors } = await articles.sync();
    assert.deepEqual([pushed, errors.map(({ local, status }) => [local.title, status])], [2, [['wrong', status]]]);
    assert.deepEqual(
      (await articles.pending()).map(({ local }) => local.title),
      ['wrong'],
    );
  });
}

test('a server that refuses every batch receives a limited number of requests', async (t) => {
  const { articles, requests } = await refusing(t, [500, '']);
  for (let i = 0; i < 60; i++) await articles.create({ title: `${i}` });
  await assert.rejects(articles.sync(), { status: 500 });
  const sizes = requests.filter(Array.isArray).map(({ length }) => length);
  assert.equal(sizes[0], 25);
  assert.equal(sizes.filter((size) => size === 1).length, 25);
});

test('changes are sent in the order in which they were made', async (t) => {
  const { articles, requests } = await refusing(t, [400, 'wrong']);
  for (const id of ['d', 'a', 'c', 'b']) await articles.create({ id, title: id });
  await articles.patch('a', { title: 'last' });
  await articles.sync();
  const [first] = requests.filter(Array.isArray);
  assert.deepEqual(
    first.map(({ body }) => body.data.title),
    ['one', 'wrong', 'two', 'd', 'c', 'b', 'last'],
  );
});

test('the headers of the function are those of each request', async (t) => {
  const { client, articles, requests } = await serve(t, []);
  let count = 0;
  client.auth = async () => ({ Authorization: `Bearer ${++count}` });
  await articles.sync();
  await articles.sync();
  assert.deepEqual(
    requests.map(({ headers }) => headers.authorization),
    ['Bearer 1', 'Bearer 2'],
  );
});

test('only new versions are requested', async (t) => {
  const { articles, requests } = await serve(t, [
    [200, { ETag: '"5"' }, { data: [] }],
    [304, { ETag: '"5"' }],
  ]);
  await articles.sync();
  await articles.sync();
  const path = '/articles?_sort=last_modified&_checksum=0-0-0';
  assert.deepEqual(
    requests.map(({ url }) => url),
    [path, `${path}&_since=5`],
  );
  assert.deepEqual(
    requests.map(({ headers }) => headers['if-none-match']),
    [undefined, '"5"'],
  );
});

test('an interrupted first synchronization continues at the last page', async (t) => {
  const record = { id: 'a', last_modified: 3, title: 'Hello' };
  const page = (next) => [200, { ETag: '"9"', ...next }, { data: [record] }];
  const next = { 'Next-Page': 'http://elsewhere/v1/articles?_sort=last_modified&_token=x' };
  const { articles, requests } = await serve(t, [page(next), [400, {}, { message: 'no' }], page({})]);
  await assert.rejects(articles.sync(), { status: 400 });
  await articles.sync();
  const queries = requests.map(({ url }) =>
    url.replace('/articles?_sort=last_modified', '').replace(/._checksum=[-0-9]+/, ''),
  );
  assert.deepEqual(queries, ['', '&_token=x', '&_since=3']);
  assert.deepEqual(await articles.list(), [record]);
});

test('the ETag of a list can be weak, as from proxies that compress', async (t) => {
  const { articles, requests } = await serve(t, [[200, { ETag: 'W/"5"' }, { data: [] }]]);
  await articles.sync();
  await articles.sync();
  assert.match(requests[1].url, /_since=5$/);
});

test('a response that is not JSON is not from the service, and the request is retried', async (t) => {
  const { articles, client } = await serve(t, [[200, { 'Content-Type': 'text/html' }, 'Log in here']]);
  const { fetch } = client;
  client.fetch = async () => new Response('<p>Log in here</p>', { headers: { 'Content-Type': 'text/html' } });
  const expected = { status: 200, body: null, message: '200 no message' };
  await assert.rejects(articles.sync(), expected); // in place of the hello
  client.fetch = fetch;
  await assert.rejects(articles.sync(), { status: 200 }); // in place of the list
  assert.deepEqual((await articles.sync()).errors, []);
});

for (const status of [200, 304]) {
  test(`a server that was restored to an older state is read again, after a ${status}`, async (t) => {
    const [a, b, older] = [
      ['a', 7],
      ['b', 8],
      ['a', 3],
    ].map(([id, last_modified]) => ({ id, last_modified }));
    const list = (data, timestamp) => [200, { ETag: `"${timestamp}"` }, { data }];
    const replies = [list([a, b], 8), [status, { ETag: '"4"' }, { data: [] }], list([older], 4)];
    const { articles, requests } = await serve(t, replies);
    await articles.sync();
    assert.equal((await articles.sync()).pulled, 1);
    assert.deepEqual(await articles.list(), [older]);
    await articles.sync();
    assert.deepEqual(
      requests.map(({ url }) => url.split('_since=')[1]),
      [undefined, '8', undefined, '4'],
    );
  });
}

test('listeners are removed from a signal that outlives the request', async (t) => {
  const { client, articles } = await serve(t, [BUSY, BUSY]);
  client.fetch = (url, options) => fetch(url, { ...options, signal: undefined }); // which listens to it for longer
  const { signal } = new AbortController();
  await articles.sync({ signal });
  assert.deepEqual(getEventListeners(signal, 'abort'), []);
});

test('a user who can read no shared record has an empty list', async (t) => {
  const { articles } = await serve(t, [[403, {}, { errno: 121 }]]);
  assert.deepEqual(await articles.sync(), { pulled: 0, pushed: 0, conflicts: [], errors: [] });
});

for (const [limit, expected] of [
  [undefined, [25, 5]],
  [null, [30]],
  [0, [30]],
  ['', [30]],
  [-1, [30]],
  ['many', [30]],
  [{}, [30]],
  [12, [12, 12, 6]],
  [12.5, [12, 12, 6]],
  ['12', [12, 12, 6]],
  [100, [30]],
]) {
  test(`batches have at most ${JSON.stringify(limit)} requests`, { timeout: 60_000 }, async (t) => {
    const { articles, requests } = await serve(t, [], { batch_max_requests: limit });
    for (let n = 0; n < 30; n++) await articles.create({ id: `a${n}`, n });
    assert.equal((await articles.sync()).pushed, 30);
    const sizes = requests.filter(({ url }) => url === '/batch').map(({ body }) => body.requests.length);
    assert.deepEqual(sizes, expected);
  });
}

test('batches have at most batchSize requests', async (t) => {
  const { articles, requests } = await serve(t, [], {}, { batchSize: 4 });
  for (let n = 0; n < 6; n++) await articles.create({ id: `a${n}` });
  await articles.sync();
  const sizes = requests.filter(({ url }) => url === '/batch').map(({ body }) => body.requests.length);
  assert.deepEqual(sizes, [4, 2]);
});

for (const [name, records] of [
  ['the same records', [{ id: 'a', last_modified: 3 }]],
  ['no records', []],
]) {
  test(`pages that continue with ${name} are not read endlessly`, { timeout: 60_000 }, async (t) => {
    const next = { ETag: '"5"', 'Next-Page': 'http://any/articles?_token=x' };
    const { articles, requests } = await serve(t, Array(50).fill([200, next, { data: records }]));
    await assert.rejects(articles.sync(), /Next-Page http:..any/);
    assert.ok(requests.length <= 2);
  });
}

for (const [name, status, use] of [
  ['that was not requested', 200, ({ articles }) => articles.sync()],
  [
    'of an error',
    500,
    ({ client }) => client.request('GET', '/articles', { headers: { Accept: 'text/event-stream' } }),
  ],
]) {
  test(`a stream ${name} is closed immediately`, { timeout: 60_000 }, async (t) => {
    let close;
    const closed = new Promise((resolve) => (close = resolve));
    const server = createServer((request, response) => {
      const isHello = request.url === '/';
      response.writeHead(isHello ? 200 : status, {
        'Content-Type': isHello ? 'application/json' : 'text/event-stream',
      });
      if (isHello) response.end('{"settings": {}}');
      else response.on('close', close).write(': comment\n\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const client = new Client({ server: `http://127.0.0.1:${server.address().port}`, retries: 0, locks: null });
    const error = { name: 'Error', message: `${status} no message`, body: null };
    await assert.rejects(use({ client, articles: client.resource('/articles') }), error);
    await closed;
  });
}

test('a record that is here is returned without retries, and without a request if the server wants none', async (t) => {
  const record = { id: 'a', last_modified: 3 };
  const busy = [503, { 'Retry-After': '60' }, BUSY[2]];
  const { articles, requests } = await serve(t, [[200, { ETag: '"5"' }, { data: [record] }], BUSY, busy]);
  await articles.sync();
  for (const count of [2, 3, 3]) {
    assert.deepEqual(await articles.get('a'), record);
    assert.equal(requests.length, count);
  }
});

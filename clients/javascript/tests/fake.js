/** A server of few words: it gives the responses that a test wants. */

import { createServer } from 'node:http';
import { once } from 'node:events';
import { Client } from '../cliquet.js';
import { live } from '../live.js';
import { query } from '../query.js';

const NOTHING = [200, { ETag: '"5"' }, { data: [] }];

/** The header of a list, which does not count tombstones. */
const totalOf = (data) => ({ 'Total-Records': data.filter(({ deleted }) => !deleted).length });

/** The response to a list, for functions in place of `fetch`. */
export const listOf = (data, timestamp) =>
  Response.json({ data }, { headers: { ETag: `"${timestamp}"`, ...totalOf(data) } });

/** The response to a batch that creates records. */
const created = ({ requests }) => {
  const data = ({ path, body }) => ({ ...body.data, id: path.split('/').at(-1), last_modified: 7 });
  return [200, {}, { responses: requests.map((each) => ({ status: 201, body: { data: data(each) } })) }];
};

/** A server that responds to the hello, and then with each `[status, headers, body]` in turn. */
export async function serve(t, responses, settings = {}, options = {}) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const isHello = request.url === '/';
    const { url, headers: sent } = request;
    const text = (await request.toArray()).join('');
    const record = { time: Date.now(), url, headers: sent, body: text && JSON.parse(text) };
    if (!isHello) requests.push(record);
    const usual = () => (url === '/batch' ? created(record.body) : NOTHING);
    const [status, headers, body] = isHello ? [200, {}, { settings }] : (responses.shift() ?? usual());
    const total = Array.isArray(body?.data) && totalOf(body.data);
    response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close', ...total, ...headers });
    response.end(status === 304 ? undefined : JSON.stringify(body ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const client = new Client({
    server: `http://127.0.0.1:${server.address().port}`,
    delay: 20,
    locks: null,
    query,
    live,
    ...options,
  });
  return { client, requests, articles: client.resource('/articles') };
}

// What the compiler must take, and refuse; nobody runs it.

import { Client, MemoryStore, Resource, ResponseError, type Saved, type Store } from '../cliquet.js';
import { IndexedDBStore } from '../indexeddb.js';
import { live } from '../live.js';
import { query } from '../query.js';

interface Article {
  title: string;
  status?: number;
}

const stores: Store[] = [new IndexedDBStore(), new IndexedDBStore('other'), new MemoryStore()];
const client = new Client({
  server: 'https://api.server.com',
  store: stores[0],
  auth: async () => ({ Authorization: 'Bearer token' }),
  conflict: ({ local, server }) => (local ? 'client' : server),
  locks: navigator.locks,
  user: 'alice',
  timeout: 10_000,
  query,
  live,
});
const articles: Resource<Article> = client.resource<Article>('/articles');

export async function use(signal: AbortSignal): Promise<Saved<Article>[]> {
  const made = await articles.create({ title: 'Hello' });
  await articles.update({ ...made, status: 1 });
  await articles.patch(made.id, { status: 2 });
  const record = await articles.get(made.id, { signal });
  if (record) await articles.delete(record.id);
  const end = articles.subscribe(({ id, record, origin }) => console.log(id, record?.title, origin === 'local'));
  end();
  client.addEventListener('progress', (event) => console.log((event as CustomEvent).detail.pulled));
  try {
    const { conflicts, errors, verified } = await articles.sync({ signal, conflict: 'server' });
    if (verified === false) console.log('Some records are missing or outdated');
    for (const conflict of conflicts) await articles.resolve(conflict, { ...made, title: 'Both' });
    for (const error of errors) await articles.resolve(error, 'server');
  } catch (error) {
    if (error instanceof ResponseError && error.status === 401) await articles.reset({ keepChanges: true });
  }
  await articles.list({ filters: { status: { $gte: 1, $lt: 3 }, title: 'Hello' }, sort: '-title', limit: 10 });
  await articles.filter({ 'author.name': { $has: true }, $or: [{ status: null }, { tags: { $contains_any: ['a'] } }] });
  return articles.filter({ title: { $like: 'hello*' } }, { sort: 'title' });
}

const end = articles.autoSync({ interval: 1000, conflict: 'server' });
const stop = articles.live(({ record }) => console.log(record?.title), { idle: 60_000 });
export const leave = async () => {
  end();
  stop();
  await client.destroy();
};

export async function misuse(): Promise<void> {
  // @ts-expect-error: the field is missing
  await articles.create({ status: 1 });
  // @ts-expect-error: what is updated has an id
  await articles.update({ title: 'Hello' });
  // @ts-expect-error: it is no number
  await articles.patch('a', { status: 'read' });
  // @ts-expect-error: there is no such operator
  await articles.filter({ title: { $near: 'Hello' } });
  // @ts-expect-error: alternatives are a list
  await articles.filter({ $or: { title: 'Hello' } });
  // @ts-expect-error: there is no such strategy
  await articles.sync({ conflict: 'mine' });
  // @ts-expect-error: there is no server
  new Client({});
}

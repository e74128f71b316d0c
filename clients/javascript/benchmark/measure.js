/** The operations that are measured, in Node or in a page; a page gets the source of this function. */

/**
 * Measure the operations of one client on a number of records.
 *
 * @param Client the class of the client
 * @param options its options
 * @param count the number of records
 * @param storeOf a function from a name to an empty store
 * @returns the duration of each operation in milliseconds; for create, save and get, of a single call
 */
export async function measure(Client, options, count, storeOf) {
  const CALLS = 200; // that are measured together
  const user = crypto.randomUUID();
  const auth = () => ({ Authorization: `Basic ${btoa(`${user}:secret`)}` });
  const open = (name) => new Client({ ...options, auth, store: storeOf(name) }).resource('/mushrooms');
  const record = { size: 37, edible: true, place: 'A wet meadow, beside the birches', weight: 1.25 };
  const results = {};

  async function time(name, calls, action) {
    const start = performance.now();
    await action();
    results[name] = (performance.now() - start) / calls;
  }

  const one = open(`${user} one`);
  await time('create', count, async () => {
    for (let number = 0; number < count; number++) await one.create({ ...record, name: `Mushroom number ${number}` });
  });
  await time('push', 1, async () => {
    const { errors } = await one.sync();
    if (errors.length) throw new Error(`The server refuses: ${JSON.stringify(errors[0].body)}`);
  });

  const other = open(`${user} other`);
  await time('first sync', 1, () => other.sync());
  const { length } = await other.list({ limit: 1 });
  if (!length) throw new Error('No records were synchronized');
  await time('list', 1, () => other.list());
  await time('filter', 1, () => other.filter({ name: { $like: '*99' } }));
  const [{ id }] = await other.list({ limit: 1 });
  await time('save', CALLS, async () => {
    for (let call = 0; call < CALLS; call++) await other.patch(id, { place: `A meadow ${call}` });
  });
  await time('pending', 1, () => other.pending());
  await time('next sync', 1, () => other.sync());
  return results;
}

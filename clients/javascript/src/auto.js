/** Automatic synchronization. */

const LONGEST = 60 * 60 * 1000;

/**
 * Synchronize a resource at once, after each change, when the page is shown or online again, and after pauses.
 *
 * @param interval the pause in milliseconds; it doubles after each failure, up to an hour
 * @returns a function that ends it, and aborts the requests
 */
export function autoSync(resource, { interval = 60_000, ...options } = {}) {
  const { document, navigator } = globalThis;
  const controller = new AbortController();
  const signal = resource._client._signal(controller.signal);
  let [timer, pause, isRunning, isStale] = [];

  async function run() {
    isStale = true;
    if (isRunning || signal.aborted || document?.hidden || navigator?.onLine === false) return;
    isRunning = true;
    isStale = false;
    try {
      resource._emit('sync', await resource.sync({ ...options, signal }));
      pause = interval;
    } catch (error) {
      pause = Math.min(2 * pause || interval, LONGEST);
      if (!signal.aborted) resource._emit('error', { error });
    }
    isRunning = false;
    plan(isStale ? 0 : pause);
  }

  function plan(time) {
    clearTimeout(timer);
    timer = setTimeout(run, time);
  }

  const wake = (resource._wake = () => plan(0));
  const end = resource.subscribe(({ origin }) => origin === 'local' && wake());
  signal.addEventListener('abort', () => clearTimeout(timer, end()));
  for (const target of [globalThis, document]) {
    target?.addEventListener?.('online', wake, { signal });
    target?.addEventListener?.('visibilitychange', wake, { signal });
  }
  wake();
  return () => controller.abort();
}

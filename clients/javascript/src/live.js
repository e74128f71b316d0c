/** The module `cliquet/live`: automatic synchronization. */

import { changesOf } from './stream.js';

const LONGEST = 60 * 60 * 1000;

/** The automatic synchronization of one resource. */
class AutoSync {
  _isRunning = false;
  _isStale = false;

  constructor(resource, { interval = 60_000, ...options }, streams) {
    Object.assign(this, { _resource: resource, _options: options, _interval: interval, _streams: streams });
    this._pause = interval;
    this._controller = new AbortController();
    this._signal = resource._client._signal(this._controller.signal);
  }

  start() {
    const wake = (this._resource._wake = () => this._plan(0));
    const end = this._resource.subscribe(({ origin }) => origin === 'local' && wake());
    this._signal.addEventListener('abort', () => clearTimeout(this._timer, end()));
    for (const type of ['online', 'offline', 'visibilitychange']) {
      for (const target of [globalThis, globalThis.document]) {
        target?.addEventListener?.(type, wake, { signal: this._signal });
      }
    }
    wake();
    return () => this._controller.abort();
  }

  _plan(time) {
    clearTimeout(this._timer);
    if (!this._signal.aborted) this._timer = setTimeout(() => this._run(), time);
  }

  /** Unless the page is hidden or offline, synchronize until nothing changes in the meantime. */
  async _run() {
    const { document, navigator } = globalThis;
    this._isStale = true;
    if (document?.hidden || navigator?.onLine === false) this._stream?.abort();
    else if (!this._isRunning) {
      this._isRunning = true;
      let isDone;
      while (this._isStale) {
        this._isStale = false;
        isDone = await this._sync();
      }
      this._isRunning = false;
      if (isDone && this._streams && !this._stream) this._follow();
    }
  }

  /** Synchronize, with a page of a stream if there is one; return whether it succeeded. */
  async _sync(page) {
    const options = { ...this._options, signal: this._signal, _page: page };
    try {
      this._resource._emit('sync', await this._resource.sync(options));
    } catch (error) {
      return this._fail(error);
    }
    this._pause = this._interval;
    this._plan(this._stream ? LONGEST : this._pause);
    return true;
  }

  _fail(error) {
    this._pause = Math.min(2 * this._pause, LONGEST);
    if (!this._signal.aborted) this._resource._emit('error', { error });
    this._plan(this._pause);
    return false;
  }

  /** Apply changes as they happen, until the stream ends or is aborted. */
  async _follow() {
    const resource = this._resource;
    this._stream = new AbortController();
    const signal = AbortSignal.any([this._signal, this._stream.signal]);
    this._plan(LONGEST);
    const read = async () => {
      const { since } = await resource._mark();
      const changes = changesOf(resource._client, resource._path, { ...this._options, since, signal });
      for await (const page of changes) await this._sync(page);
    };
    try {
      // One of the pages that share a store applies the changes, and notifies the others.
      await (resource._channel ? resource._locked('live', read, signal) : read());
    } catch (error) {
      if (!signal.aborted) this._fail(error);
    }
    this._stream = undefined;
    this._plan(signal.aborted ? 0 : this._pause);
  }
}

/**
 * Synchronize a resource immediately, after each change, when the page is shown or online again, and after pauses.
 *
 * @param interval the pause in milliseconds; it doubles after each failure, up to an hour
 * @param streams whether to read the server's stream of changes instead of pausing, if it has one
 * @returns a function that ends it, and aborts the requests
 */
export const live = (resource, options = {}, streams = false) => new AutoSync(resource, options, streams).start();

/** Streams of changes (Server-Sent Events). */

import { sleep } from './timers.js';

const PAUSE = 1000; // before the next connection, in milliseconds, unless the server sets another time

/** The events of a response, each an object of its fields, until it ends or is silent for some milliseconds. */
async function* eventsOf(body, idle) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const end = { done: true };
  let [rest, event] = ['', {}];
  try {
    for (;;) {
      let timer;
      const silence = new Promise((resolve) => (timer = setTimeout(resolve, idle, end)));
      const { value, done } = await Promise.race([reader.read().catch(() => end), silence]);
      clearTimeout(timer);
      if (done) return;
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (line) {
          const [, name, text] = /^([^:]*):? ?([^]*)$/.exec(line);
          event[name] = name in event ? `${event[name]}\n${text}` : text;
        } else {
          yield event;
          event = {};
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // it has failed already
  }
}

/**
 * Follow the changes of a list since a timestamp, over any number of connections.
 *
 * It ends if the service has no streams, or refuses one to this user. It yields `{}` if changes are not complete: the
 * list must then be read.
 */
export async function* changesOf(client, path, { since, signal, idle = 45_000 }) {
  const options = { headers: { Accept: 'text/event-stream' }, signal };
  while ((await client.hello({ signal })).capabilities?.live) {
    const query = since ? `?_since="${since}"` : '';
    const { body } = await client.request('GET', path + query, options).catch((error) => {
      if ([403, 406].includes(error.status)) return {};
      throw error;
    });
    if (!body?.pipeThrough) return;
    let pause = PAUSE;
    let isPartial = false;
    for await (const { event, id, data, retry } of eventsOf(body, idle)) {
      if (retry) pause = +retry;
      if (event === 'alert') client._emit(event, JSON.parse(data));
      if (event === 'reset') yield {};
      if (event !== 'change') continue;
      if (id) {
        const { data: records, checksum } = JSON.parse(data);
        const timestamp = +id.replaceAll('"', '');
        yield isPartial ? {} : { since, records, timestamp, checksum, _isLast: true };
        since = timestamp;
      }
      isPartial = !id; // the records are those of a page
    }
    await sleep(pause * (1 + Math.random()), signal);
  }
}

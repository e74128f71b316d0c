/** A proxy of a server, which can stop, and lose or cut the responses to some requests. */

import { once } from 'node:events';
import { createServer, request as send } from 'node:http';

export class Gate {
  #server;
  #gate = createServer((request, response) => this.#pass(request, response));
  losesResponse = () => false;
  streams = 0; // that were opened
  /** Returns a chunk of a response to send, or a part of it, after which the connection is closed. */
  change = (chunk) => chunk;

  constructor(server) {
    this.#server = server;
  }

  async open(port = 0) {
    this.#gate.listen(port, '127.0.0.1');
    await once(this.#gate, 'listening');
    this.port = this.#gate.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  async shut() {
    const closed = once(this.#gate, 'close');
    this.#gate.close();
    this.#gate.closeAllConnections();
    await closed;
  }

  #pass(request, response) {
    const { method, headers, url } = request;
    if (headers.accept === 'text/event-stream') this.streams++;
    // Use a new connection: the server could be closing an idle one, which would lose the request.
    const onward = send(this.#server + url, { method, headers, agent: false }, (upstream) => {
      if (this.losesResponse(request)) {
        upstream.resume();
        return;
      }
      response.writeHead(upstream.statusCode, upstream.headers);
      upstream.on('data', (chunk) => {
        const passed = this.change(chunk);
        response.write(passed);
        if (passed !== chunk) response.destroy();
      });
      upstream.on('end', () => response.end());
      upstream.on('error', () => response.destroy());
    });
    response.on('close', () => onward.destroy()); // also before the response begins, or if it never ends
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  }
}

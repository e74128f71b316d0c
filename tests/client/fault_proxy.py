"""HTTP proxy between a client and a service that responds as a script demands.

Each request takes the next step of the script: a :class:`Response` of the proxy's own; ``DROP``,
which forwards the request and drops the response; or ``PASS``, which forwards both. After the last
step, everything passes.
"""

import http.client
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit

PASS, DROP = "pass", "drop"
TIMEOUT = 30  # seconds


class Response(NamedTuple):
    status: int
    headers: dict = {}
    body: bytes = b"{}"


class FaultProxy:
    """The proxy.

    :param upstream: URL of the service; None without one.
    """

    def __init__(self, upstream=None):
        self.steps = []
        #: Method, path, headers and body of the requests received.
        self.requests = []
        #: The client's port of each request.
        self.connections = []
        self._upstream = upstream and urlsplit(upstream).netloc
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def script(self, *steps):
        """Set the next steps, and forget the requests received so far."""
        self.steps[:] = steps
        self.requests.clear()
        self.connections.clear()

    @property
    def methods(self):
        return [method for method, *_ in self.requests]

    def _handler(self):
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_request(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy.connections.append(self.client_address[1])
                proxy.requests.append((self.command, self.path, self.headers, body))
                step = proxy.steps.pop(0) if proxy.steps else PASS
                if isinstance(step, Response):
                    self.respond(step)
                    return
                response = proxy.forward(self.command, self.path, self.headers, body)
                if step == PASS:
                    self.respond(response)
                else:
                    self.close_connection = True

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request

            def respond(self, response):
                self.send_response_only(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                if self.command != "HEAD" and "Content-Length" not in response.headers:
                    self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)

            def log_message(self, *args):
                """Log nothing."""

        return Handler

    def forward(self, method, path, headers, body):
        connection = http.client.HTTPConnection(self._upstream, timeout=TIMEOUT)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Response(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    @contextmanager
    def running(self):
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join(TIMEOUT)
            self._server.server_close()


def error(status, errno=None, headers=(), **members):
    """Return a response whose body is an error of the protocol."""
    body = {"code": status, "errno": errno, "error": "Error", **members}
    return Response(status, dict(headers), json.dumps(body).encode())


def success(data, headers=()):
    """Return a response with status 200 and data."""
    total = {"Total-Records": str(len(data))} if isinstance(data, list) else {}
    return Response(200, {**total, **dict(headers)}, json.dumps({"data": data}).encode())

"""A server between a client and a service, which answers as it is told to.

For each request it takes the next step: an :class:`Answer` of its own; ``LOSE``: the service gets
the request, and the client gets no answer; ``PASS``, as after the last step: what the service says.
"""

import http.client
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit

PASS, LOSE = "pass", "lose"
PATIENCE = 30  # seconds


class Answer(NamedTuple):
    status: int
    headers: dict = {}
    body: bytes = b"{}"


class Between:
    """The server.

    :param behind: the URL of the service; None: there is none.
    """

    def __init__(self, behind=None):
        self.steps = []
        #: Method, path, headers and body of the requests that came.
        self.seen = []
        self._behind = behind and urlsplit(behind).netloc
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def will(self, *steps):
        """Tell what comes next, and forget what came."""
        self.steps[:] = steps
        self.seen.clear()

    @property
    def methods(self):
        return [method for method, *_ in self.seen]

    def _handler(self):
        between = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                between.seen.append((self.command, self.path, self.headers, body))
                step = between.steps.pop(0) if between.steps else PASS
                if isinstance(step, Answer):
                    self.tell(step)
                    return
                answer = between.forward(self.command, self.path, self.headers, body)
                if step == PASS:
                    self.tell(answer)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def tell(self, answer):
                self.send_response_only(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if self.command != "HEAD" and "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *args):
                """Say nothing."""

        return Handler

    def forward(self, method, path, headers, body):
        connection = http.client.HTTPConnection(self._behind, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
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
            thread.join(PATIENCE)
            self._server.server_close()


def error(status, errno=None, headers=(), **members):
    """An answer with the body of an error."""
    body = {"code": status, "errno": errno, "error": "Error", **members}
    return Answer(status, dict(headers), json.dumps(body).encode())


def answer_of(data, headers=()):
    """An answer of success."""
    return Answer(200, dict(headers), json.dumps({"data": data}).encode())

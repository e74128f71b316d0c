"""Bodies that break off, in process and behind servers."""

import base64
import io
import json
import logging
import socket
import threading

import pytest
from pyramid.request import Request
from webob.request import DisconnectionError

from cliquet.http import bodies
from cliquet.storage.exceptions import BackendError
from cliquet.transactions import retryable
from tests.wsgi_servers import COMMANDS, wsgi_server

BODY = b'{"data": {"name": "chanterelle"}}'
ALICE = "Basic " + base64.b64encode(b"alice:secret").decode()


class Breaking(io.BytesIO):
    """An input that fails after some bytes."""

    def __init__(self, data, error):
        super().__init__(data)
        self.error = error

    def read(self, size=-1):
        data = super().read(size)
        if not data:
            raise self.error
        return data


class Chunked(io.BytesIO):
    """An input that gives some bytes at a time."""

    def read(self, size=-1):
        return super().read(min(size, 7) if size > 0 else size)


#: Truncated bodies: the input, and its length if the client sends it.
BROKEN = {
    "ends early": lambda: (io.BytesIO(BODY[:9]), 100),
    "is empty": lambda: (io.BytesIO(), 100),
    "ends where JSON does": lambda: (io.BytesIO(BODY), 100),
    "raises an error of the system": lambda: (Breaking(BODY, ConnectionResetError("gone")), 100),
    "raises an error of the server": lambda: (Breaking(BODY, ValueError("gone")), 100),
    "raises at once": lambda: (Breaking(b"", OSError("gone")), 100),
    "has a broken chunk": lambda: (Breaking(BODY, ValueError("not a chunk")), None),
    "is too large, and raises": lambda: (Breaking(BODY, OSError("gone")), 10**6),
}

TARGETS = [
    ("POST", "/v0/mushrooms"),
    ("PUT", "/v0/mushrooms/abc"),
    ("PATCH", "/v0/mushrooms/abc"),
    ("POST", "/v0/batch"),
    ("POST", "/v0/echo"),
    ("POST", "/v0/raw"),
]


def setup(config):
    def raw(request):
        return {"length": len(request.body)}

    def read(request):
        return {"length": len(request.environ["wsgi.input"].read())}

    def lines(request):
        return {"lines": [len(line) for line in request.environ["wsgi.input"]]}

    def conflict(request):
        ATTEMPTS.append(request.body)
        raise retryable(BackendError(message="in the way"))

    for view in (raw, read, lines, conflict):
        config.add_route(view.__name__, f"/{view.__name__}")
        config.add_view(view, route_name=view.__name__, renderer="json")


ATTEMPTS = []


@pytest.fixture(params=["1", "3"])
def app(serve, request):
    return serve({"retry.attempts": request.param}, setup).app


def call(app, method, path, file, length):
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "HTTP_AUTHORIZATION": ALICE,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": file,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if length is None:
        environ["wsgi.input_terminated"] = True
    else:
        environ["CONTENT_LENGTH"] = str(length)
    started = []
    body = b"".join(app(environ, lambda status, headers, *_: started.append(int(status[:3]))))
    return started[0], json.loads(body)


@pytest.mark.parametrize(("method", "path"), TARGETS)
@pytest.mark.parametrize("how", BROKEN)
def test_body_that_breaks_off_is_a_400_and_one_line(app, caplog, how, method, path):
    caplog.set_level(logging.INFO)
    status, body = call(app, method, path, *BROKEN[how]())
    assert (status, body["errno"]) == (400, 107)
    assert body["message"] == "body: Should be complete"
    (line,) = caplog.records
    assert (line.levelno, line.exc_info) == (logging.INFO, None)


def test_body_that_no_view_reads_can_break_off(app):
    status, _ = call(app, "GET", "/v0/mushrooms", io.BytesIO(b"{"), 100)
    assert status == 200


# WebOb leaves it to the garbage collector to close the files that it spools to.
spooled = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@spooled
@pytest.mark.parametrize("length", [None, 2_000_000])
@pytest.mark.parametrize("path", ["/v0/raw", "/v0/read"])
def test_views_of_applications_read_bodies_of_any_size(app, path, length):
    body = b"x" * 2_000_000
    assert call(app, "POST", path, io.BytesIO(body), length) == (200, {"length": len(body)})


@pytest.mark.parametrize("length", [None, 2_000_003])
def test_lines_of_a_large_body_are_read(app, length):
    body = b"x" * 2_000_000 + b"\nb\n"
    expected = {"lines": [2_000_001, 2]}
    assert call(app, "POST", "/v0/lines", io.BytesIO(body), length) == (200, expected)


@pytest.mark.parametrize("length", [None, 2_000_000])
@pytest.mark.parametrize(("method", "path"), TARGETS[:4])
def test_large_json_body_is_refused_without_being_read(app, method, path, length):
    file = io.BytesIO(b"x" * 2_000_000)
    status, body = call(app, method, path, file, length)
    assert (status, body["errno"]) == (413, 113)
    assert file.tell() <= 1_100_000


@pytest.mark.parametrize("length", [None, len(BODY)])
@pytest.mark.parametrize("file", [io.BytesIO, Chunked])
def test_each_attempt_has_the_body(serve, file, length):
    app = serve({"retry.attempts": "3"}, setup).app
    ATTEMPTS.clear()
    assert call(app, "POST", "/v0/conflict", file(BODY), length)[0] == 503
    assert ATTEMPTS == [BODY] * 3


def test_body_is_read_as_far_as_its_length(serve):
    app = serve({}, setup).app
    file = io.BytesIO(BODY + b"the next request")
    assert call(app, "POST", "/v0/raw", file, len(BODY))[1] == {"length": len(BODY)}
    assert file.read() == b"the next request"


@spooled
@pytest.mark.parametrize("length", [None, 2_000_000])
def test_large_body_is_read_without_a_limit(serve, length):
    app = serve({"max_body_bytes": "0"}, setup).app
    body = b"x" * 2_000_000
    assert call(app, "POST", "/v0/raw", io.BytesIO(body), length)[1] == {"length": len(body)}


@pytest.mark.parametrize("terminated", [False, True])
def test_get_without_a_length_has_no_body(terminated):
    request = Request.blank("/", environ={"wsgi.input_terminated": terminated})
    assert bodies.read_body_once(request) is None
    assert request.body == b""


def test_incomplete_body_is_an_error_of_webob():
    """Views of applications may catch it."""
    with pytest.raises(DisconnectionError, match="incomplete: gone"):
        bodies._Input(Breaking(b"", OSError("gone"))).read()


# Behind servers.

HEAD = (
    "POST /v1/spores HTTP/1.1\r\nHost: localhost\r\n"
    f"Authorization: {ALICE}\r\nContent-Type: application/json\r\n"
)

#: Data that the client sends before it closes the connection.
SENT = {
    "less than announced": f"{HEAD}Content-Length: 100\r\n\r\n{BODY[:9].decode()}",
    "nothing": f"{HEAD}Content-Length: 100\r\n\r\n",
    "half a chunk": f"{HEAD}Transfer-Encoding: chunked\r\n\r\n20\r\nabc",
    "no last chunk": f"{HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "no chunk": f"{HEAD}Transfer-Encoding: chunked\r\n\r\nnot a chunk\r\n",
}


def send(server, text):
    """Send a text, and nothing more; return the response."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionResetError:
            pass
        return received


@pytest.mark.parametrize("name", COMMANDS)
def test_truncated_bodies_get_400_or_no_response(name, tmp_path):
    pytest.importorskip(name)
    with wsgi_server(name, "sqlite", f"sqlite:///{tmp_path}/served.sqlite") as server:
        for how, text in SENT.items():
            received = send(server, text)
            if name == "granian" and how == "no chunk":
                continue  # it makes an empty body of this
            assert received == b"" or received.startswith(b"HTTP/1.1 400")
        # Several at once, which leave while the server waits.
        threads = [threading.Thread(target=send, args=(server, text)) for text in SENT.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert server.responds()
        assert "Traceback" not in server.output()
        assert len(server.output().splitlines()) < 5 * len(SENT)

"""Control characters in each part of a request: none of them reaches the log."""

import base64
import io
import json
import logging

import pytest
import structlog
from pyramid.authentication import RemoteUserAuthenticationPolicy

from cliquet import logger, loggers
from cliquet.storage.exceptions import BackendError

FORGED = "FORGED"

CHARACTERS = {
    "newline": "\n",
    "return": "\r",
    "escape": "\x1b",
    "null": "\0",
    "delete": "\x7f",
    "next line": "\x85",
    "control sequence": "\x9b",
    "line separator": "\u2028",
    "right-to-left override": "\u202e",
    "isolate": "\u2066",
    "tag": "\U000e0041",
}

RENDERERS = {
    "classic": "cliquet.logs.ClassicLogRenderer",
    "heka": "cliquet.logs.MozillaHekaRenderer",
    "key-value": "structlog.processors.KeyValueRenderer",
    "json": "structlog.processors.JSONRenderer",
    "logfmt": "structlog.processors.LogfmtRenderer",
    "console": "tests.test_log_injection.Uncoloured",
}


def Uncoloured(pad_event_to=30):
    return structlog.dev.ConsoleRenderer(pad_event_to, colors=False)


Uncoloured.__module__ = structlog.__name__


class RemoteUser(RemoteUserAuthenticationPolicy):
    """Trust the user name that the server in front has checked."""


@pytest.fixture(autouse=True)
def no_context():
    loggers.bound_values.set(None)
    loggers._default_renderer.clear()
    yield
    loggers.bound_values.set(None)
    loggers._default_renderer.clear()


@pytest.fixture
def log():
    """The bytes that the loggers of the process write."""
    stream = io.BytesIO()
    handler = logging.StreamHandler(io.TextIOWrapper(stream, "utf-8", write_through=True))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


def raise_bug(request):
    raise ValueError(request.environ["sent"])


def raise_backend_error(request):
    try:
        raise_bug(request)
    except ValueError as error:
        raise BackendError(message=request.environ["sent"]) from error


def write(request):
    text = request.environ["sent"]
    logger.bind(**{text: text})
    logger.warning(text, value=text, values=[text], **{f"key{text}": text})
    try:
        raise_bug(request)
    except ValueError:
        logger.exception(text)
    return {}


def setup(config):
    for view in (raise_bug, raise_backend_error, write):
        config.add_route(view.__name__, f"/{view.__name__}*rest")
        config.add_view(view, route_name=view.__name__, renderer="json")


@pytest.fixture
def client(serve, renderer):
    settings = {
        "logging_renderer": RENDERERS[renderer],
        "multiauth.policies": "remote basicauth",
        "multiauth.policy.remote.use": "tests.test_log_injection.RemoteUser",
    }
    return serve(settings, setup)


def raw(text):
    """The text as WSGI servers give it."""
    return text.encode("utf-8").decode("latin-1")


def credentials(text):
    return "Basic " + base64.b64encode(f"{text}:{text}".encode()).decode()


def batch(**request):
    body = json.dumps({"requests": [request]}).encode()
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v0/batch",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }


#: By the part of the request that has the text, what there is of it in the environment.
PARTS = {
    "path": lambda text: {"PATH_INFO": f"/v0/{raw(text)}"},
    "path of a 500": lambda text: {"PATH_INFO": f"/v0/raise_bug/{raw(text)}"},
    "path of a 503": lambda text: {"PATH_INFO": f"/v0/raise_backend_error/{raw(text)}"},
    "line of the application": lambda text: {"PATH_INFO": f"/v0/write/{raw(text)}"},
    "script name": lambda text: {"SCRIPT_NAME": f"/{raw(text)}"},
    "query": lambda text: {"QUERY_STRING": raw(text)},
    "quoted query": lambda text: {"QUERY_STRING": "".join(f"%{b:02x}" for b in text.encode())},
    "query value": lambda text: {"QUERY_STRING": f"a={raw(text)}"},
    "filter": lambda text: {"PATH_INFO": "/v0/mushrooms", "QUERY_STRING": f"_sort={raw(text)}"},
    "method": lambda text: {"REQUEST_METHOD": raw(text)},
    "agent": lambda text: {"HTTP_USER_AGENT": raw(text)},
    "language": lambda text: {"HTTP_ACCEPT_LANGUAGE": raw(text)},
    "request id": lambda text: {"HTTP_X_REQUEST_ID": raw(text)},
    "host": lambda text: {"HTTP_HOST": raw(text)},
    "origin": lambda text: {"HTTP_ORIGIN": raw(text)},
    "user name": lambda text: {"HTTP_AUTHORIZATION": credentials(text)},
    "authorization": lambda text: {"HTTP_AUTHORIZATION": raw(text)},
    "remote user": lambda text: {"REMOTE_USER": raw(text), "PATH_INFO": "/v0/mushrooms"},
    "record id": lambda text: {"PATH_INFO": f"/v0/mushrooms/{raw(text)}"},
    "if-match": lambda text: {"PATH_INFO": "/v0/mushrooms", "HTTP_IF_MATCH": raw(text)},
    "batch path": lambda text: batch(path=f"/raise_bug/{text}"),
    "batch method": lambda text: batch(path="/mushrooms", method=text),
    "batch agent": lambda text: batch(path="/mushrooms", headers={"User-Agent": text}),
    "batch language": lambda text: batch(path="/raise_bug/", headers={"Accept-Language": text}),
    "batch header": lambda text: batch(path="/raise_bug/", headers={text: text}),
    "batch field": lambda text: batch(**{"path": "/raise_bug/", text: text}),
}


def call(app, sent, changes):
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/v0/echo",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "HTTP_HOST": "localhost",
        "HTTP_AUTHORIZATION": credentials("alice"),
        "sent": sent,
        **changes,
    }
    started = []
    body = app(environ, lambda status, headers, exc_info=None: started.append(status))
    list(body)
    assert started


def check(written, character):
    assert written
    assert character == "\n" or character.encode() not in written
    lines = written.decode("utf-8").split("\n")
    assert not any(line.startswith(FORGED) for line in lines)
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("character", CHARACTERS)
@pytest.mark.parametrize("renderer", RENDERERS)
def test_no_part_of_a_request_begins_a_line_or_moves_a_cursor(client, log, renderer, character):
    text = f"x{CHARACTERS[character]}{FORGED}"
    for part in PARTS.values():
        log.seek(0)
        log.truncate()
        call(client.app, text, part(text))
        check(log.getvalue(), CHARACTERS[character])


@pytest.mark.parametrize("renderer", ["heka", "json"])
def test_json_lines_contain_the_sent_values(client, log, renderer):
    text = f"x{''.join(CHARACTERS.values())}{FORGED}"
    call(client.app, text, {"PATH_INFO": "/v0/write"})
    line = json.loads(log.getvalue().splitlines()[-3])
    assert (line["Fields"] if renderer == "heka" else line)["value"] == text


@pytest.mark.parametrize("character", CHARACTERS)
def test_lines_of_the_toolkit_without_renderer_are_escaped_too(log, character):
    text = f"x{CHARACTERS[character]}{FORGED}"
    toolkit = loggers.get_logger("cliquet.x")
    toolkit.warning("about %s", text)
    try:
        raise ValueError(text)
    except ValueError:
        toolkit.exception("about %s", text)
    check(log.getvalue(), CHARACTERS[character])
    assert log.getvalue().count(b"Traceback (most recent call last)") == 1


@pytest.mark.parametrize("renderer", RENDERERS)
def test_traceback_of_the_application_is_written_once_and_given_to_handlers(client, log, caplog):
    call(client.app, "bug", {"PATH_INFO": "/v0/write"})
    assert log.getvalue().count(b"Traceback (most recent call last)") == 1
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.exc_info[0] is ValueError
    assert (record.name, record.funcName) == ("tests.test_log_injection", "write")
    assert record.levelno == logging.ERROR


def test_exceptions_are_logged_as_triples_too(log):
    loggers.get_logger("cliquet.x").error("failed", exc_info=(KeyError, KeyError("a"), None))
    assert log.getvalue() == b"failed\nKeyError: 'a'\n"

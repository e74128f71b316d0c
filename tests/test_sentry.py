"""Events at Sentry, from its old and its new client, configured as documented.

Each application runs in a separate process, because these clients patch modules.
"""

import gzip
import json
import os
import subprocess
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sentry_sdk
import webtest
from pyramid.paster import get_app, setup_logging

from cliquet.testing import get_user_headers
from tests import testapp

ROOT = Path(__file__).parent.parent

HEADERS = {**get_user_headers("alice"), "Cookie": "sid=c00kie"}
SECRETS = ("alice:secret", HEADERS["Authorization"].partition(" ")[2], "c00kie", "hunter2")

LOGGING = """
[loggers]
keys = root, cliquet

[handlers]
keys = sentry

[formatters]
keys =

[logger_root]
level = INFO
handlers = sentry

[logger_cliquet]
level = INFO
handlers =
qualname = cliquet

[handler_sentry]
class = {handler}
args = ({argument},)
level = {level}
"""
APPLICATION = "[app:main]\nuse = call:tests.test_sentry:main\n"
RAVEN = "raven.handlers.logging.SentryHandler"


def main(global_config, **settings):
    """The application of the configuration file."""
    if "sentry_dsn" in settings:
        sentry_sdk.init(settings["sentry_dsn"])
    return testapp.main(settings)


def serve(ini, path, status):
    """Run in the process: handle a request, and the same one in a batch."""
    setup_logging(ini)
    client = webtest.TestApp(get_app(ini))
    client.get(f"/v0{path}", headers=HEADERS, status=int(status))
    client.post_json("/v0/batch", {"requests": [{"path": path}]}, headers=HEADERS, status="*")


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        decode = {"gzip": gzip.decompress, "deflate": zlib.decompress}
        self.server.received.append(decode[self.headers["Content-Encoding"]](body).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


class Sentry:
    """The server that clients send their events to."""

    def __init__(self, server):
        self._server = server
        self.dsn = f"http://key@127.0.0.1:{server.server_port}/1"

    @property
    def texts(self):
        return self._server.received

    @property
    def events(self):
        """Select the events: the newer client also sends sessions."""
        return [event for text in self.texts for event in events_of(text)]

    @property
    def failures(self):
        """The events that have a traceback."""
        return [event for event in self.events if "exception" in event]


def events_of(text):
    lines = [json.loads(line) for line in text.splitlines()]
    if len(lines) == 1:
        return lines
    return [
        content
        for header, content in zip(lines[1::2], lines[2::2], strict=True)
        if header["type"] == "event"
    ]


@pytest.fixture
def sentry():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.received = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Sentry(server)
        server.shutdown()
        thread.join()


@pytest.fixture
def send(tmp_path):
    """A function that runs an application with a configuration for requests for one path."""

    def send(configuration, path, status):
        ini = tmp_path / "application.ini"
        ini.write_text(configuration)
        command = [sys.executable, "-m", "tests.test_sentry", str(ini), path, str(status)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, cwd=ROOT, env=env, timeout=60, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    return send


def by_raven(dsn, level="ERROR"):
    return APPLICATION + LOGGING.format(handler=RAVEN, argument=repr(dsn), level=level)


def by_sdk(dsn):
    standard = LOGGING.format(handler="StreamHandler", argument="sys.stdout", level="INFO")
    return f"{APPLICATION}sentry_dsn = {dsn}\n{standard}"


CLIENTS = pytest.mark.parametrize("configure", [by_raven, by_sdk])


def trace_of(event):
    """The exceptions of an event, with the function of the last call of each."""
    return [
        (exception["type"], exception["stacktrace"]["frames"][-1]["function"])
        for exception in event["exception"]["values"]
    ]


@CLIENTS
def test_a_bug_arrives_once_with_its_traceback_and_without_credentials(sentry, send, configure):
    send(configure(sentry.dsn), "/fail/bug", 500)
    alone, of_a_batch = sentry.failures
    for event in (alone, of_a_batch):
        assert trace_of(event) == [("ValueError", "get_fail")]
        assert "/v0/fail/bug" in json.dumps(event)
    for secret in SECRETS:
        assert secret not in "".join(sentry.texts)


@CLIENTS
def test_a_database_that_is_down_arrives_without_its_password(sentry, send, configure):
    database = "postgresql://bob:hunter2@127.0.0.1:1/x"
    settings = (
        f"cliquet.storage_backend = cliquet.storage.postgresql\ncliquet.storage_url = {database}\n"
    )
    configuration = configure(sentry.dsn).replace(APPLICATION, APPLICATION + settings)
    send(configuration, "/mushrooms", 503)
    (event,) = sentry.failures  # the second request fails within a minute
    assert ("OperationalError", "connect") in trace_of(event)
    for secret in SECRETS:
        assert secret not in "".join(sentry.texts)


def test_the_start_arrives_where_it_is_wanted(sentry, send):
    send(by_raven(sentry.dsn, "INFO"), "/", 200)
    messages = [event["message"] for event in sentry.events]
    assert "testapp 0.0.1 starting. " in messages


if __name__ == "__main__":
    serve(*sys.argv[1:])

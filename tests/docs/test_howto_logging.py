"""Log lines in a format of one's own."""

import importlib
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cliquet import logger

ROOT = Path(__file__).parents[2]


@pytest.fixture
def logged(examples):
    """A function that returns what was written since it was last called."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(importlib.import_module("json_lines").Formatter())
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    root.addHandler(handler)

    def logged():
        lines = stream.getvalue().splitlines()
        stream.seek(0)
        stream.truncate()
        return [json.loads(line) for line in lines]

    yield logged
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def client(logged, serve, settings_of):
    client = serve("bookmarks_resource", settings=settings_of("logging.ini"))
    logged()
    return client


def test_line_of_a_request_is_json(client, logged):
    client.get("/bookmarks?_limit=2")
    (line,) = logged()
    assert line["@timestamp"].endswith("+00:00")
    assert {
        "level": "info",
        "service": "myproject",
        "message": "request.summary",
        "method": "GET",
        "path": "/v1/bookmarks",
        "querystring": {"_limit": "2"},
        "code": 200,
        "limit": 2,
    }.items() <= line.items()


def test_failure_is_one_line_with_its_traceback(client, logged, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError("bug")

    monkeypatch.setattr(client.registry.storage, "get_page", fail)
    client.get("/bookmarks", status=500)
    failure, summary = logged()
    assert (failure["level"], failure["message"], failure["path"]) == (
        "error",
        "bug",
        "/v1/bookmarks",
    )
    assert failure["exception"].endswith("ValueError: bug")
    assert summary["code"] == 500


def test_lines_of_the_application_have_the_id_of_the_request(client, logged, monkeypatch):
    def check(*args, **kwargs):
        logger.warning("disk.full", free=1.5, device=object)

    client.registry.heartbeats["disk"] = check
    client.get("/__heartbeat__", headers={"X-Request-Id": "mine"})
    warning, summary = logged()
    assert warning["message"] == "disk.full"
    assert (warning["free"], warning["device"]) == (1.5, "<class 'object'>")
    assert warning["request_id"] == summary["request_id"] == "mine"


def test_configuration_writes_such_lines_to_the_output(examples):
    """In another process: what configures logging closes all handlers that there are."""
    program = (
        "import io, logging.config;"
        "ini = '[app:main]\\n' + open('logging.ini').read();"
        "logging.config.fileConfig(io.StringIO(ini));"
        "logging.getLogger('any').info('hello')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=examples,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(done.stdout)["message"] == "hello"

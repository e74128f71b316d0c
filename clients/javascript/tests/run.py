"""Run the tests of the JavaScript client, against the example application on each SQL engine.

    .venv/bin/python clients/javascript/tests/run.py [ARGUMENT OF node --test ...]

The servers are those that the tests in Python use; they end with this process.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import uvicorn
import waitress
from pyramid.paster import get_appsettings

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

import bookmarks  # noqa: E402

from cliquet import asgi  # noqa: E402
from tests import postgresql_server  # noqa: E402

KINDS = ("storage", "permission", "cache")
# On two processors, node --test would run one file at a time, and often wait.
IN_PARALLEL = "--test-concurrency=2"
# Small, for a few records to need several of them.
SMALL = {"cliquet.paginate_by": 4, "cliquet.batch_max_requests": 3}
LIVE = {"cliquet.live_interval_seconds": 0.05, "cliquet.live_permissions_seconds": 0.1}
EXTRAS = {"cliquet.includes": "extras"}


@contextmanager
def serving(engine, url, serve):
    """Give the URL of the example application on a database."""
    example = get_appsettings(str(ROOT / "config" / "example.ini"))
    settings = {**example, **SMALL, **LIVE, **EXTRAS}
    for kind in KINDS:
        settings[f"cliquet.{kind}_backend"] = f"cliquet.{kind}.{engine}"
        settings[f"cliquet.{kind}_url"] = url
    app = bookmarks.main({}, **settings)
    for kind in KINDS:
        getattr(app.registry, kind).initialize_schema()
    yield f"http://127.0.0.1:{serve(app)}"


def serve_with_waitress(app):
    """Return the port of a WSGI server, which can't stream changes."""
    server = waitress.create_server(app, host="127.0.0.1", port=0)
    threading.Thread(target=server.run, daemon=True).start()
    return server.effective_port


def serve_with_uvicorn(app):
    """Return the port of an ASGI server."""
    options = {
        "log_config": None,
        "access_log": False,
        "lifespan": "off",
        "timeout_keep_alive": 600,  # tests can pause; a POST on a connection that ends would fail
    }
    server = uvicorn.Server(uvicorn.Config(asgi.application(app), port=0, **options))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return server.servers[0].sockets[0].getsockname()[1]


def main(arguments):
    """Return the exit code of the tests."""
    with (
        tempfile.TemporaryDirectory() as folder,
        postgresql_server.temporary_database() as postgresql_url,
        serving("sqlite", f"sqlite:///{folder}/bookmarks.sqlite", serve_with_uvicorn) as on_sqlite,
        serving("postgresql", postgresql_url, serve_with_waitress) as on_postgresql,
    ):
        urls = {"sqlite": on_sqlite, "postgresql": on_postgresql}
        env = {
            **os.environ,
            "CLIQUET_SERVERS": json.dumps(urls),
            "CHROMIUM": shutil.which("chromium") or "",
        }
        command = ["node", "--test", IN_PARALLEL, *arguments]
        return subprocess.run(command, cwd=HERE.parent, env=env).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The configurations and the commands of the guide; the tests of each tool are elsewhere."""

import logging
import re

import pytest
from pyramid.config import Configurator

import cliquet
from tests.docs.console import commands
from tests.docs.pages import block

PAGE = "howto/monitor"

LOAD = """
import logging.config

logging.config.fileConfig("sqlite.ini")
logging.getLogger("cliquet").info("of cliquet")
logging.getLogger("other").info("of another")
logging.getLogger("other").warning("a warning")
print([type(handler).__module__ for handler in logging.getLogger().handlers])
"""


def test_lines_of_cliquet_and_warnings_of_others_are_written(tmp_path, terminal):
    tmp_path.joinpath("sqlite.ini").write_text(block(PAGE, "ini", "[loggers]"))
    tmp_path.joinpath("load.py").write_text(LOAD)
    assert terminal.run("python load.py") == "of cliquet\na warning\n['logging']"


def test_handler_of_raven_is_created(tmp_path, terminal):
    sentry = block(PAGE, "ini", "[handlers]\nkeys = console, sentry")
    loggers = block(PAGE, "ini", "[loggers]")
    for section in ("handlers", "logger_root"):  # those that the guide changes
        loggers = re.sub(rf"\[{section}\]\n[^[]*", "", loggers)
    tmp_path.joinpath("sqlite.ini").write_text(f"{loggers}\n{sentry}")
    tmp_path.joinpath("load.py").write_text(LOAD)
    assert "raven" in terminal.run("python load.py")


def test_bound_fields_are_in_the_lines_of_the_application(serve, caplog):
    caplog.set_level(logging.INFO, "cliquet")
    code = block(PAGE, "python", "from cliquet")
    client = serve()
    client.registry.heartbeats["quota"] = lambda request: exec(code)
    client.get("/__heartbeat__", status="*")
    (line,) = (message for message in caplog.messages if "quota.exceeded" in message)
    assert "plan=free" in line and "used=1200" in line


def test_current_client_of_sentry_is_called_before_the_application_is_created(tmp_path, terminal):
    """In a process of its own, for the client listens to all of one."""
    program = block(PAGE, "python", "import sentry_sdk")
    imports = "import cliquet, warnings\nfrom pyramid.config import Configurator\n"
    settings = {"project_name": "service", "userid_hmac_secret": "secret"}
    check = f"main({{}}, **{settings})\nprint(sentry_sdk.get_client().dsn)"
    tmp_path.joinpath("service.py").write_text(f"{imports}{program}\n{check}\n")
    assert terminal.run("python -W ignore service.py") == "https://key@sentry.example.com/1"


@pytest.fixture
def metrics(guide, terminal, server):
    """Follow the guide, up to the metrics of several processes; return a function of a URL."""
    guide.follow(PAGE)
    terminal.run(f"cd {guide.folder}")
    (prepare, _), (start, _) = commands(block(PAGE, "console", "$ rm"))
    terminal.run(prepare)
    start = start.replace("8888", f"{server.port}")
    server.start(f"env {start}", terminal.state())
    return lambda path: terminal.run(f"curl http://127.0.0.1:{server.port}/v1{path}")


def test_workers_of_gunicorn_share_their_metrics(metrics, guide, server):
    for _ in range(8):
        metrics("/")
    assert 'cliquet_requests_total{method="GET",service="hello",status="200"} 8.0' in metrics(
        "/__metrics__"
    )
    assert list(guide.folder.joinpath("metrics").glob("*.db"))
    server.stop()


def test_application_for_new_relic_has_the_middlewares():
    names = {"cliquet": cliquet, "Configurator": Configurator}
    exec(block(PAGE, "python", "def main"), names)
    assert names["main"]({}, project_name="service", userid_hmac_secret="secret")

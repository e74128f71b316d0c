#!/usr/bin/env python3
"""The commands of development: serve the example, test everything, measure, build the docs.

They need nothing but Python. The first run makes ``.venv`` beside this file and installs the
project there, with its tools; the next ones find it ready, and make it anew when the
requirements, the version of Python or the place of the checkout have changed.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "complete"  # written last: an environment without it is half-made
PYTHON = str(VENV / "bin" / "python")

# The versions that are installed: everybody tests with the same. CONTRIBUTING.rst shows how to
# renew them.
CONSTRAINTS = "constraints.txt"
REQUIREMENTS = ("setup.py", "pyproject.toml", "dev.py", CONSTRAINTS)
EXTRAS = "client-async,docs,monitoring,postgresql,raven,redis,testing"
# From 80.9 on, setuptools prints a warning at each import of pkg_resources, by Pyramid and Cornice.
SETUPTOOLS = "setuptools>=78.1.1,<80.9"

DOCS = ROOT / "docs" / "_build" / "html"
CHECKS = {
    "Lint": ("ruff", "check"),
    "Format": ("ruff", "format", "--check"),
    "Types": ("mypy",),
    "Documentation": ("sphinx", "-W", "-E", "-q", "-b", "html", "docs", str(DOCS)),
}
JAVASCRIPT = Path("clients", "javascript")
JAVASCRIPT_TESTS = str(JAVASCRIPT / "tests" / "run.py")
OLDEST_NODE = 20
NPM = ("npm", "ci", "--prefix", str(JAVASCRIPT), "--ignore-scripts", "--no-audit", "--no-fund")
COVERAGE = ("--cov=cliquet", "--cov-report=term-missing:skip-covered", "--cov-fail-under=100")
# In two processes, each with databases of its own: most tests wait for something.
IN_PARALLEL = ("--numprocesses=2", "--dist=loadgroup")

# Cliquet reads its settings from variables as plain as BACKOFF or READONLY, and from any that an
# application's name prefixes. So tests and benchmarks get these variables, and no other.
KEPT_VARIABLES = (
    *("PATH", "LD_LIBRARY_PATH", "HOME", "USER", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE"),
    *("TERM", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "CI", "PYTEST_ADDOPTS"),
    *("CLIQUET_TEST_POSTGRESQL_URL", "CLIQUET_TEST_REDIS_URL"),
)

# Short: what is a quarter worse shows all the same.
BENCHMARK = ("benchmarks.requests", "--rounds=40", "--compare=benchmarks/results.json")

HOST = "127.0.0.1"
EXAMPLE = str(Path("config", "example.ini"))
PATIENCE = 30  # seconds given to the server to start
WELCOME = """
The example application is at {url}/ -- try it from another terminal:

  curl {url}/
  curl -u alice:secret {url}/bookmarks -H 'Content-Type: application/json' \
-d '{{"data": {{"url": "https://www.example.com", "title": "An example"}}}}'
  curl -u alice:secret {url}/bookmarks

or on a page that works offline: {demo}

Ctrl-C stops it.
"""


class Failure(Exception):
    """Something went wrong that the developer must know, in one sentence."""


def announce(what: str) -> None:
    print(f"==> {what}", flush=True)


def run(what: str, *command: str, env: Mapping[str, str] | None = None) -> None:
    """Tell, then do, a step whose failure ends everything."""
    announce(what)
    if subprocess.run(command, cwd=ROOT, env=env).returncode:
        raise Failure(f"{what}: failed, see above.")


# The environment


def fingerprint() -> str:
    """What the environment depends on: with another fingerprint it must be made anew."""
    python = f"{sys.base_prefix} {sys.version.split()[0]}"
    digest = hashlib.sha256(f"{python} {VENV}".encode())
    for name in REQUIREMENTS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def is_ready() -> bool:
    return Path(PYTHON).exists() and STAMP.is_file() and STAMP.read_text() == fingerprint()


def prepare() -> None:
    """Make the virtual environment, unless it's ready."""
    with open(__file__) as lock:  # two runs at once: the second waits for the first
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_ready():
            ensure_venv_module()
            make_environment()


def ensure_venv_module() -> None:
    """Debian ships ``ensurepip``, without which there is no virtual environment, separately."""
    if importlib.util.find_spec("ensurepip"):
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not may_install():
        raise Failure(
            "This Python can't make virtual environments: its module ensurepip is missing.\n"
            f"On Debian and Ubuntu: sudo apt-get install {package}"
        )
    install("python3-venv", package)


def may_install() -> bool:
    """Tell whether packages of Debian can be installed."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(*packages: str) -> None:
    """Install packages of Debian."""
    run("Update the list of packages", "apt-get", "update")
    run(f"Install {packages[-1]}", "apt-get", "install", "-y", *packages)


def make_environment() -> None:
    made_from = fingerprint()
    run("Make .venv", sys.executable, "-m", "venv", "--clear", str(VENV))
    announce("Install the project and its tools there, in about half a minute")
    pip_install(SETUPTOOLS)
    pip_install("--no-build-isolation", "--editable", f".[{EXTRAS}]")
    STAMP.write_text(made_from)


def pip_install(*arguments: str) -> None:
    """What pip says is only worth reading when it fails."""
    pip = (PYTHON, "-m", "pip", "install", "--disable-pip-version-check")
    command = [*pip, "--constraint", str(ROOT / CONSTRAINTS), *arguments]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(done.stdout)
        raise Failure(
            f"pip couldn't install {arguments[-1]}: see above. It needs to reach a package index."
        )


# serve


def serve(port: int) -> NoReturn:
    """Run the example application until a signal, an exception here, ends it."""
    raise_if_busy(port)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "examples")}
    run("Prepare the database", str(VENV / "bin" / "cliquet"), "--ini", EXAMPLE, "migrate", env=env)
    announce("Start the server")
    run_server([PYTHON, "-m", "pyramid.scripts.pserve", EXAMPLE, f"http_port={port}"], port, env)


def raise_if_busy(port: int) -> None:
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise Failure(
            f"Port {port} can't be used: {os.strerror(error.errno or 0)}. "
            "Choose another one: python3 dev.py serve --port N"
        ) from error


def run_server(command: list[str], port: int, env: Mapping[str, str]) -> NoReturn:
    # In a session of its own, the server doesn't get the terminal's Ctrl-C beside our signal.
    server = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True)
    try:
        wait_until_accepting(server, port)
        origin = f"http://{HOST}:{port}"
        print(WELCOME.format(url=f"{origin}/v1", demo=f"{origin}/demo/"), flush=True)
        server.wait()
        raise Failure("The server stopped by itself: see above.")
    finally:
        stop(server)


def wait_until_accepting(server: subprocess.Popen[Any], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Failure("The server couldn't start: see above.")
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise Failure(f"The server doesn't answer on port {port}.")


def stop(server: subprocess.Popen[Any]) -> None:
    server.send_signal(signal.SIGINT)
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


# test, bench and docs


def kept_variables() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}


def test(arguments: list[str]) -> int:
    """Check everything; or, with arguments for pytest, run these tests alone.

    The last line that is printed tells how many tests passed.
    """
    env = kept_variables()
    if not arguments:
        for what, command in CHECKS.items():
            run(what, PYTHON, "-m", *command, env=env)
        test_javascript(env)
    announce("Tests")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        selection = arguments or (*COVERAGE, *IN_PARALLEL)
        pytest = [PYTHON, "-m", "pytest", *selection, f"--junit-xml={report}"]
        code = subprocess.run(pytest, cwd=ROOT, env=env).returncode
        passed, failed = count(report)
        names = failures(report)
    if code and not failed:
        announce(f"pytest ended with code {code}, without a failed test: see above.")
    for name in names:
        # Once more at the end: what pytest tells of a failure can be longer than a log.
        print(f"failed: {name}")
    print(f"{passed} passed" + (f", {failed} failed" if failed else ""))
    return code


def test_javascript(env: Mapping[str, str]) -> None:
    """Test the JavaScript client, and its demo page, as far as there are Node and Chromium.

    Continuous integration, which sets ``CI``, leaves nothing out.
    """
    if node_version() < OLDEST_NODE or not shutil.which("npm"):
        leave_out("JavaScript client", f"there is no Node {OLDEST_NODE} or later, with npm")
        return
    install_node_modules()
    ensure_chromium()
    run("JavaScript client", PYTHON, JAVASCRIPT_TESTS, env=env)


def leave_out(what: str, why: str) -> None:
    """Tell that something isn't tested; on continuous integration, that is a failure."""
    if os.environ.get("CI"):
        raise Failure(f"{what}: must be tested where CI is set, but {why}.")
    announce(f"{what}: left out, for {why}")


def install_node_modules() -> None:
    """Install what the tests in JavaScript need, unless it's there: npm writes its list last."""
    wanted = ROOT / JAVASCRIPT / "package-lock.json"
    installed = ROOT / JAVASCRIPT / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        run("Install what the tests of the JavaScript client need", *NPM)


def ensure_chromium() -> None:
    """Install Debian's Chromium on continuous integration; elsewhere that is left to people."""
    if shutil.which("chromium"):
        return
    if os.environ.get("CI") and may_install():
        install("chromium")
    else:
        leave_out("Demo page and page of the API", "there is no chromium")


def node_version() -> int:
    """Return the major version of Node, 0 without it."""
    node = shutil.which("node")
    if node is None:
        return 0
    told = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True).stdout
    return int(told.removeprefix("v").partition(".")[0])


def count(report: Path) -> tuple[int, int]:
    """How many tests passed, and failed, according to pytest's report (none: it didn't run).

    A test whose cleaning-up failed has not passed.
    """
    if not report.is_file():
        return 0, 0
    suites = list(ElementTree.parse(report).iter("testsuite"))
    total, failures, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    )
    return total - failures - errors - skipped, failures + errors


def failures(report: Path) -> list[str]:
    """Name the tests that failed, according to pytest's report."""
    if not report.is_file():
        return []
    return [
        f"{case.get('classname')}::{case.get('name')}"
        for case in ElementTree.parse(report).iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]


def bench(arguments: list[str]) -> int:
    """Measure the speed; 1 if some ratio is worse than the recorded one by more than a quarter."""
    announce("Benchmark")
    command = [PYTHON, "-m", *BENCHMARK, *arguments]
    return subprocess.run(command, cwd=ROOT, env=kept_variables()).returncode


def docs() -> int:
    run("Documentation", PYTHON, "-m", *CHECKS["Documentation"])
    print(DOCS / "index.html")
    return 0


# The command line

WITH_ARGUMENTS = {"test": test, "bench": bench}


def port_number(text: str) -> int:
    if not 1 <= int(text) <= 65535:
        raise ValueError(text)
    return int(text)


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """What to do, and the arguments that are for the program that does it."""
    parser = argparse.ArgumentParser(prog="dev.py", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    served = commands.add_parser("serve", help="run the example application")
    served.add_argument("--port", type=port_number, default=8888, help="default: %(default)s")
    commands.add_parser(
        "test",
        help="lint, types, docs, tests and coverage; with arguments, only pytest, which gets them",
        usage="dev.py test [-h] [ARGUMENT OF PYTEST ...]",
    )
    commands.add_parser(
        "bench",
        help="compare the speed with that of hand-written code, and with the last results",
        usage="dev.py bench [-h] [ARGUMENT OF benchmarks/requests.py ...]",
    )
    commands.add_parser("docs", help="build the documentation")
    options, others = parser.parse_known_args(argv)
    if others and options.command not in WITH_ARGUMENTS:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    return options, others


def interrupt(*_: object) -> NoReturn:
    """The first signal ends the command; more of them must not disturb that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(argv: list[str]) -> int:
    options, others = parse(argv)
    signals = {signal.SIGINT, signal.SIGTERM}
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # else it runs under nohup
        signals.add(signal.SIGHUP)
    for number in signals:
        signal.signal(number, interrupt)
    try:
        prepare()
        if options.command == "serve":
            serve(options.port)
        if options.command in WITH_ARGUMENTS:
            return WITH_ARGUMENTS[options.command](others)
        return docs()
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if options.command == "serve" else 130


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 -- those who run it have not installed the project
        sys.exit(f"dev.py needs Python 3.11 or later; this is {sys.version.split()[0]}.")
    sys.exit(main(sys.argv[1:]))

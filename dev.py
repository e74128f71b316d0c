#!/usr/bin/env python3
"""Development commands: serve the example, run the tests and benchmarks, build the documentation.

They require only Python. The first run creates ``.venv`` next to this file and installs the
project and its tools there. Later runs use it, and recreate it when the requirements, the version
of Python or the path of the checkout have changed.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "complete"  # written last: an environment without it is incomplete
PYTHON = str(VENV / "bin" / "python")

# The installed versions, so that all developers test with the same. CONTRIBUTING.rst shows how
# to update them.
CONSTRAINTS = "constraints.txt"
REQUIREMENTS = ("setup.py", "pyproject.toml", "dev.py", CONSTRAINTS)
EXTRAS = "client-async,docs,monitoring,postgresql,raven,redis,testing"
# From 80.9 on, setuptools prints a warning at each import of pkg_resources, by Pyramid and Cornice.
SETUPTOOLS = "setuptools>=78.1.1,<80.9"
# Settings of pip, which uv doesn't read, and the environment variables of uv that replace them.
INDEX_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}

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
COVERAGE = ("-p", "tests.measurement")
# One process more than the usual two cores, because a quarter of the time is spent waiting. Each
# has its own databases.
IN_PARALLEL = ("--numprocesses=3", "--dist=worksteal")

QUICK = "--quick"
QUICK_CHECKS = ("Lint", "Format", "Types")
# The tests of modules, with two engines. Those of whole applications are marked application.
QUICK_TESTS = (*IN_PARALLEL, "-m", "not application", "-k", "not redis and not sqlite")

# Cliquet reads settings from environment variables such as BACKOFF or READONLY, and from all that
# start with the name of the application. Tests and benchmarks therefore get only these variables.
PASSED_VARIABLES = (
    *("PATH", "LD_LIBRARY_PATH", "HOME", "USER", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE"),
    *("TERM", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "CI", "PYTEST_ADDOPTS"),
    *("CLIQUET_TEST_POSTGRESQL_URL", "CLIQUET_TEST_REDIS_URL"),
)

# Few rounds are enough to notice an operation that is 25 % slower.
BENCHMARK = ("benchmarks.requests", "--rounds=40", "--compare=benchmarks/results.json")

EXAMPLE = str(Path("config", "example.ini"))
WELCOME = """
Once the server is ready, open http://127.0.0.1:{port}/demo/ and enter the name alice.
Or run in another terminal, as the same user:

  curl -u alice:secret http://127.0.0.1:{port}/v1/bookmarks -H 'Content-Type: application/json' \\
    -d '{{"data": {{"url": "https://www.example.com", "title": "An example"}}}}'
  curl -u alice:secret http://127.0.0.1:{port}/v1/bookmarks
"""


class CommandError(Exception):
    """A command failed; the message is shown to the developer."""


def log_step(title: str) -> None:
    print(f"==> {title}", flush=True)


def run(title: str, *command: str, env: Mapping[str, str] | None = None) -> None:
    """Print the title of a step and run its command; raise CommandError if it fails."""
    log_step(title)
    if subprocess.run(command, cwd=ROOT, env=env).returncode:
        raise CommandError(f"{title}: failed, see above.")


def run_quietly(
    command: Sequence[str], env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command; the result has its output and its errors as one string."""
    return subprocess.run(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


class Step(NamedTuple):
    """A command to run, by default in the current environment."""

    title: str
    command: Sequence[str]
    env: Mapping[str, str] | None = None


@contextmanager
def in_background(steps: Sequence[Step]) -> Iterator[list[str]]:
    """Run steps one after the other in the background of a block, then print their outputs.

    The yielded list contains the titles of the failed steps once the block has ended.
    """
    failed: list[str] = []
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = [pool.submit(run_quietly, step.command, step.env) for step in steps]
        try:
            yield failed
            for step, future in zip(steps, running, strict=True):
                done = future.result()
                log_step(step.title)
                print(done.stdout, end="", flush=True)
                if done.returncode:
                    failed.append(step.title)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


# The environment


def fingerprint() -> str:
    """Return a hash of everything the environment depends on."""
    python = f"{sys.base_prefix} {sys.version.split()[0]}"
    digest = hashlib.sha256(f"{python} {VENV}".encode())
    for name in REQUIREMENTS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def is_ready() -> bool:
    return Path(PYTHON).exists() and STAMP.is_file() and STAMP.read_text() == fingerprint()


def prepare() -> None:
    """Create the virtual environment, unless it is ready."""
    with open(__file__) as lock:  # a second run waits for the first
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_ready():
            ensure_venv_module()
            create_environment()


def ensure_venv_module() -> None:
    """Install the Debian package of ``ensurepip``, which virtual environments require."""
    if importlib.util.find_spec("ensurepip"):
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not can_install():
        raise CommandError(
            "This Python can't create virtual environments: its module ensurepip is missing.\n"
            f"On Debian and Ubuntu: sudo apt-get install {package}"
        )
    for step in installation("python3-venv", package):
        run(step.title, *step.command)


def can_install() -> bool:
    """Return whether Debian packages can be installed."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def installation(*packages: str) -> list[Step]:
    """Return the steps that install Debian packages."""
    return [
        Step("Update the list of packages", ("apt-get", "update")),
        Step(f"Install {packages[-1]}", ("apt-get", "install", "-y", *packages)),
    ]


def create_environment() -> None:
    current = fingerprint()
    run("Create .venv", sys.executable, "-m", "venv", "--clear", str(VENV))
    log_step("Install the project and its tools (about half a minute)")
    # If this fails, for lack of a wheel, pip installs the packages.
    run_quietly(pip_command("--only-binary", "uv", "uv"))
    install_packages(SETUPTOOLS)
    install_packages("--no-build-isolation", "--editable", f".[{EXTRAS}]")
    STAMP.write_text(current)


def install_packages(*arguments: str) -> None:
    """Run ``uv pip install``, or ``pip install``, which is ten times slower, if uv fails."""
    uv = (PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON)
    configuration = run_quietly((PYTHON, "-m", "pip", "config", "list")).stdout
    env = {**index_variables(configuration), **os.environ}
    if run_quietly([*uv, "--constraint", CONSTRAINTS, *arguments], env).returncode:
        pip_install(*arguments)


def index_variables(configuration: str) -> dict[str, str]:
    """Return the environment variables with which uv uses the package index of pip.

    :param configuration: the output of ``pip config list``.
    """
    variables = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # of all indexes, as in pip
    for section in ("global", "install", ":env:"):  # the last has priority
        for key, value in re.findall(rf"(?m)^{section}\.([\w-]+)=(.+)$", configuration):
            if key in INDEX_VARIABLES:
                separator = "," if key == "find-links" else " "
                variables[INDEX_VARIABLES[key]] = separator.join(ast.literal_eval(value).split())
    return variables


def pip_command(*arguments: str) -> list[str]:
    """Return a command that installs packages in their pinned versions."""
    pip = (PYTHON, "-m", "pip", "install", "--disable-pip-version-check")
    return [*pip, "--constraint", CONSTRAINTS, *arguments]


def pip_install(*arguments: str) -> None:
    """Run ``pip install``, and show its output only if it fails."""
    done = run_quietly(pip_command(*arguments))
    if done.returncode:
        print(done.stdout)
        raise CommandError(
            f"pip couldn't install {arguments[-1]}: see above. It requires a package index."
        )


# serve


def serve(port: str, arguments: list[str]) -> NoReturn:
    """Replace this process by ``cliquet serve`` with the example application."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "examples"), "CLIQUET_INI": EXAMPLE}
    run("Prepare the database", PYTHON, "-m", "cliquet", "migrate", env=env)
    log_step("Start the server")
    print(WELCOME.format(port=port), flush=True)
    os.chdir(ROOT)
    os.execve(PYTHON, [PYTHON, "-m", "cliquet", "serve", "--port", port, *arguments], env)


# test, bench and docs


def clean_env() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}


def test(arguments: list[str]) -> int:
    """Run every check and test; with arguments for pytest, run only the selected tests.

    ``--quick`` runs ruff, mypy and the tests of memory and PostgreSQL, without documentation and
    browser. The checks and the JavaScript tests run in the background of the Python tests. The last
    lines name the failed checks and tests, and count the passed and failed Python tests.
    """
    env = clean_env()
    quick = arguments == [QUICK]
    titles = QUICK_CHECKS if quick else [] if arguments else CHECKS
    steps = [Step(title, (PYTHON, "-m", *CHECKS[title]), env) for title in titles]
    steps += [] if arguments else javascript_steps(env)
    with in_background(steps) as failed_steps, tempfile.TemporaryDirectory() as folder:
        log_step("Tests")
        report = Path(folder, "report.xml")
        selection = QUICK_TESTS if quick else arguments or (*COVERAGE, *IN_PARALLEL)
        pytest = [PYTHON, "-m", "pytest", *selection, f"--junit-xml={report}"]
        code = subprocess.run(pytest, cwd=ROOT, env=env).returncode
        passed, failed = count(report)
        names = failures(report)
    if code and not failed:
        log_step(f"pytest ended with code {code}, without a failed test: see above.")
    for name in (*failed_steps, *names):
        # Repeated at the end, because a report of a failure can be very long.
        print(f"failed: {name}")
    print(f"{passed} passed" + (f", {failed} failed" if failed else ""))
    return code or bool(failed_steps)


def javascript_steps(env: Mapping[str, str]) -> list[Step]:
    """Return the steps that test the JavaScript client, and its demo page if there is Chromium.

    In continuous integration, where ``CI`` is set, nothing is skipped.
    """
    if node_version() < OLDEST_NODE or not shutil.which("npm"):
        skip("JavaScript client", f"Node {OLDEST_NODE} or later and npm are required")
        return []
    tests = Step("JavaScript client", (PYTHON, JAVASCRIPT_TESTS), env)
    return [*node_modules_steps(), *chromium_steps(), tests]


def skip(title: str, reason: str) -> None:
    """Report that a step is skipped; raise CommandError in continuous integration."""
    if os.environ.get("CI"):
        raise CommandError(f"{title}: can't be skipped because CI is set, but {reason}.")
    log_step(f"{title}: skipped, because {reason}")


def node_modules_steps() -> list[Step]:
    """Return the step that installs the packages of the tests, unless they are up to date."""
    wanted = ROOT / JAVASCRIPT / "package-lock.json"
    installed = ROOT / JAVASCRIPT / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        return [Step("Install the packages of the JavaScript tests", NPM)]
    return []


def chromium_steps() -> list[Step]:
    """Return the steps that install Debian's Chromium in continuous integration.

    Elsewhere, its tests are skipped.
    """
    if shutil.which("chromium"):
        return []
    if os.environ.get("CI") and can_install():
        return installation("chromium")
    skip("Demo page and API page", "chromium is not installed")
    return []


def node_version() -> int:
    """Return the major version of Node, or 0 if it is not installed."""
    node = shutil.which("node")
    if node is None:
        return 0
    version = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True).stdout
    return int(version.removeprefix("v").partition(".")[0])


def count(report: Path) -> tuple[int, int]:
    """Return how many tests passed and failed, according to pytest's report.

    Both are 0 without a report. A test whose teardown failed counts as failed.
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
    """Return the names of the failed tests, according to pytest's report."""
    if not report.is_file():
        return []
    return [
        f"{case.get('classname')}::{case.get('name')}"
        for case in ElementTree.parse(report).iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]


def bench(arguments: list[str]) -> int:
    """Run the benchmark; return 1 if an operation is over 25 % slower than recorded."""
    log_step("Benchmark")
    command = [PYTHON, "-m", *BENCHMARK, *arguments]
    return subprocess.run(command, cwd=ROOT, env=clean_env()).returncode


def docs() -> int:
    run("Documentation", PYTHON, "-m", *CHECKS["Documentation"])
    print(DOCS / "index.html")
    return 0


# The command line

WITH_ARGUMENTS = {"test": test, "bench": bench}


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of a command, and the arguments for the program that it runs."""
    parser = argparse.ArgumentParser(prog="dev.py", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    served = commands.add_parser(
        "serve",
        help="run the example application",
        usage="dev.py serve [-h] [--port N] [OPTION OF cliquet serve ...]",
    )
    served.add_argument("--port", default="8888", help="default: %(default)s")
    commands.add_parser(
        "test",
        help="lint, types, docs, tests and coverage; arguments select tests, as for pytest",
        usage="dev.py test [-h] [--quick | PYTEST ARGUMENT ...]",
        description="Run every check. With --quick, run ruff, mypy and the tests of modules with "
        "the memory and PostgreSQL engines; with arguments for pytest, only the selected tests.",
    )
    commands.add_parser(
        "bench",
        help="compare the speed with hand-written code and with the recorded results",
        usage="dev.py bench [-h] [benchmarks/requests.py ARGUMENT ...]",
    )
    commands.add_parser("docs", help="build the documentation")
    options, others = parser.parse_known_args(argv)
    if others and options.command not in ("serve", *WITH_ARGUMENTS):
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    return options, others


def interrupt(*_: object) -> NoReturn:
    """End the command at the first signal, and ignore the following ones."""
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
            serve(options.port, others)
        if options.command in WITH_ARGUMENTS:
            return WITH_ARGUMENTS[options.command](others)
        return docs()
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 -- runs before the project is installed
        sys.exit(f"dev.py requires Python 3.11 or later; this is {sys.version.split()[0]}.")
    sys.exit(main(sys.argv[1:]))

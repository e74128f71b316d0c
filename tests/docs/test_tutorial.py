"""The tutorial, followed to the letter by a reader who has a new folder, and a new PostgreSQL.

Its blocks are executed in order:

- ``console``: each ``$ command`` in a shell, and what it prints is compared with what is shown,
  as :mod:`tests.docs.correspondence` says. Servers run in a terminal of their own, until ``^C``,
  and HTTPie in the process of the test, which saves the time to start it;
- a file, whose name is the caption: it is written; or, with ``at the end`` or ``after`` a line
  in the caption, added to it there;
- ``text``, captioned ``In the server's terminal``: the last lines that the server has written.

The port 8888 of the tutorial is a free one in the test.
"""

import json
import os
import re
import shlex
import shutil
import sys
import sysconfig
import time
import warnings
from contextlib import ExitStack
from io import BytesIO, TextIOWrapper
from subprocess import PIPE, run
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest

from tests import postgresql_server, processes
from tests.docs.console import Console, commands
from tests.docs.correspondence import Mismatch
from tests.docs.pages import DOCS, execute_page
from tests.docs.terminal import ServerTerminal, Terminal

ROOT = DOCS.parent
PAGES = sorted(path.name for path in DOCS.glob("tutorial/[0-9]*.rst"))
SOURCES = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.rst", "LICENSE")

PORT = ":8888"
IN_SERVER = "In the server's terminal"
SOON = 5  # seconds
SERVERS = ("pserve", "gunicorn")
FILES = ("python", "ini", "json")
HTTPIE_OPTIONS = {
    "default_options": ["--ignore-stdin", "--pretty=format", "--print=hb"],
    "disable_update_warnings": True,  # otherwise each command looks for the latest version
}

#: Programs of installed packages, which the reader's environment borrows.
PROGRAMS = {
    "pserve": "pyramid.scripts.pserve",
    "pytest": "pytest",
    "gunicorn": "gunicorn",
    "pip": "pip",
}
CAPTION = re.compile(r"(?P<name>\S+?)(?:, (?:(?P<end>at the end)|after ``(?P<after>.+)``))?")


def completed(text, addition, after=None):
    """Return the text of a file with something added after one of its lines, or at the end."""
    if after is None:
        return f"{text}\n\n{addition}"
    assert text.count(f"\n{after}\n") == 1, f"there is one line {after}"
    return text.replace(f"\n{after}\n", f"\n{after}\n{addition}")


class Reader:
    """A reader who follows the tutorial, page by page.

    :param console: in which commands are run.
    :param server: the terminal for servers.
    """

    def __init__(self, console, server):
        self._console = console
        self._server = server
        self._read = []
        self._broken = None

    @property
    def folder(self):
        """The working directory of the terminal."""
        return self._console.terminal.folder

    def read(self, name):
        """Follow a page, and first those before it, unless that was done."""
        for page in PAGES[: PAGES.index(name) + 1]:
            if page not in self._read:
                assert self._broken is None, f"the reader couldn't finish {self._broken}"
                self._broken = page
                execute_page(DOCS / "tutorial" / page, self.execute)
                self._broken = None
                self._read.append(page)

    def execute(self, language, caption, text):
        """Execute a block; return what is wrong, or None."""
        try:
            if language == "console":
                self._execute_console(text)
            elif language == "text" and caption == IN_SERVER:
                self._compare_with_log(f"...\n{text}")
            elif language in FILES:
                self._write(caption, text)
            else:
                return f"nothing executes a block of {language}, with the caption {caption!r}"
        except Mismatch as mismatch:
            return str(mismatch)

    def _execute_console(self, text):
        for command, shown in commands(text):
            if command == "^C":
                self._server.stop()
            elif command.startswith(SERVERS) or command.endswith(" serve"):
                self._serve(command)
                self._compare_with_log(shown)
            else:
                self._console.run(command, shown)

    def _serve(self, command):
        terminal = self._console.terminal
        for path in terminal.folder.glob("*.ini"):
            path.write_text(self._console.meant(path.read_text()))
        if command.endswith(" serve"):
            command += f" --port {self._server.port}"
        self._server.start(self._console.meant(command), terminal.state())

    def _compare_with_log(self, shown):
        """Compare with what the server has written, or writes soon."""
        deadline = time.monotonic() + SOON
        while True:
            try:
                return self._console.compare(shown, self._server.output())
            except Mismatch:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def _write(self, caption, text):
        name, _, after = CAPTION.fullmatch(caption).groups()
        path = self._console.terminal.folder / name
        if name != caption:
            text = completed(path.read_text(), text, after)
        path.write_text(self._console.meant(text))


class ReaderTerminal(Terminal):
    """A shell in which the command ``http`` runs in this process."""

    def __init__(self, folder, environment):
        super().__init__(folder, environment)
        self._environment = environment

    def run(self, command):
        if not command.startswith("http "):
            return super().run(command)
        words = shlex.split(command.replace("\\\n", ""))
        with warnings.catch_warnings(), patch.dict(os.environ, self._environment, clear=True):
            warnings.simplefilter("ignore")
            status, output = _httpie(words, self._environment["HTTPIE_CONFIG_DIR"])
        assert status == 0, f"{command}\n{output}"
        return output.strip("\n")


def _httpie(words, config):
    """Run the program HTTPie; return its status and what it prints."""
    from httpie import context, core  # here, as this takes half a second

    output = TextIOWrapper(BytesIO(), encoding="utf-8")
    streams = {"stdin": None, "stdout": output, "stderr": output}
    no_terminals = {f"{name}_isatty": False for name in streams}
    environment = context.Environment(config_dir=config, **streams, **no_terminals)
    status = core.main(words, environment)
    output.flush()
    return status, output.buffer.getvalue().decode()


def borrow(folder):
    """Make the programs of installed packages, run by the Python of the environment in use."""
    folder.mkdir()
    for name, module in PROGRAMS.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec python -m {module} "$@"\n')
        program.chmod(0o755)
    # A virtual environment that also borrows pip, which takes seconds to install.
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@" --without-pip\n')
    python.chmod(0o755)


def environment(folder, postgresql):
    """The variables of the reader's terminal: no package index, and the server of PostgreSQL."""
    path = (folder / "programs", sysconfig.get_path("scripts"), postgresql_server.binaries_folder())
    config = folder / "httpie"
    config.mkdir()
    (config / "config.json").write_text(json.dumps(HTTPIE_OPTIONS))
    # Wheels are built here, not in a folder that other tests use at the same time.
    build = folder / "build.cfg"
    build.write_text(
        f"[build]\nbuild_base = {folder}/build\n[bdist_wheel]\nbdist_dir = {folder}/bdist\n"
    )
    return {
        "DIST_EXTRA_CONFIG": str(build),
        "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": sysconfig.get_path("purelib"),
        "PIP_NO_INDEX": "1",
        # 0 disables these: pip assigns the value to the opposite options.
        "PIP_NO_COMPILE": "0",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_NO_WARN_CONFLICTS": "0",  # with all the packages of this environment
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "HTTPIE_CONFIG_DIR": str(config),
        "PGHOST": "127.0.0.1",
        "PGPORT": str(postgresql.port),
        "PGUSER": postgresql.username,
    }


def copy_checkout(folder):
    """Make a checkout of the project, as far as it is needed to install it."""
    folder.mkdir()
    for name in SOURCES:
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "cliquet", folder / "cliquet", ignore=ignored)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tutorial")
    port = processes.free_port()
    borrow(folder / "programs")
    desk = folder / "desk"
    desk.mkdir()
    copy_checkout(desk / "cliquet")
    with ExitStack() as running:
        postgresql = running.enter_context(postgresql_server.private_server())
        terminal = ReaderTerminal(desk, environment(folder, urlsplit(postgresql.url)))
        running.callback(terminal.close)
        server = ServerTerminal(folder / "server.log", port)
        running.callback(server.kill)
        yield Reader(Console(terminal, {PORT: f":{port}"}), server)


@pytest.mark.parametrize("page", PAGES)
def test_page_of_the_tutorial_shows_the_actual_output(reader, page):
    reader.read(page)


def test_project_passes_the_type_check_of_its_workflow(reader):
    reader.read(PAGES[-1])
    # The same cache as for the generated project.
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'template'}"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    mypy = run(
        [sys.executable, "-m", "mypy", cache], cwd=reader.folder, env=env, stdout=PIPE, text=True
    )
    assert mypy.returncode == 0, mypy.stdout

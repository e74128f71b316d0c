"""Reader of a guide, who follows it verbatim in an empty folder."""

import os
import re
import shlex
import sys
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from io import StringIO
from unittest.mock import patch

from pyramid.paster import get_app

from cliquet.scripts import cliquet as command_line
from cliquet.scripts.loading import load
from tests.docs.console import Console, commands
from tests.docs.correspondence import Mismatch
from tests.docs.pages import DOCS, execute_page

_CAPTION = re.compile(
    r"(?P<name>\S+?)"
    r"(?:(?P<end>, at the end)|(?P<main>, in \[app:main\])|, instead of (?P<old>\S+))?"
)

#: Commands that need a network, run until they are interrupted, or have tests of their own.
_SKIPPED = (
    "docker compose",
    "gunicorn",
    "pip install",
    "pserve",
    "pytest",
    "python -m build",
    "python -m http.server",
    "python -m pytest",
    "python load_test.py",
    "python3 -m venv",
    ". .venv/bin/activate",
    "python3 dev.py",
    "gprof2dot",
    "twine",
    "curl -s -H 'Authorization: Bearer gho_",
)


class Guide:
    """Writes the files of a page, and runs its commands, in the printed order.

    Commands are typed verbatim. To save the time that processes take to start, ``cliquet`` runs in
    this process, and serves from a thread. A server uses the application that ``cliquet migrate``
    has loaded, unless a file was written since.

    :param folder: an empty folder; also the home of the terminal.
    :param terminal: a terminal in the folder, without the paths of the examples.
    :param listen: a context manager that serves an application, and gives its port.
    """

    def __init__(self, folder, terminal, listen):
        self.folder = self._home = folder
        self._terminal = terminal
        self._console = Console(terminal, {})
        self._listen = listen
        self._server = ExitStack()
        self._ini = self._app = None
        self._reload = False
        self.commands = 0

    def execute(self, language, caption, text):
        """Execute a block; return a description of the problem, or None."""
        if language == "console":
            try:
                for command, shown in commands(text):
                    self._run(command, shown)
            except Mismatch as mismatch:
                return str(mismatch)
        elif caption:
            self.write(caption, text)
        return None

    def follow(self, page):
        """Write the files of a page, and run its ``cliquet`` commands, but start no server."""

        def execute(language, caption, text):
            if caption or text.startswith("$ cliquet new"):
                return self.execute(language, caption, text)

        execute_page(DOCS / f"{page}.rst", execute)

    def _run(self, command, shown):
        if command.startswith("pip install -e"):
            sys.path.append(str(self.folder))
        if command.startswith(_SKIPPED):
            return
        output = self._output(command)
        self.commands += 1
        if shown:
            self._console.compare(shown, output)

    def _output(self, command):
        words = shlex.split(command)
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            os.chdir(self.folder)
        if words[0] != "cliquet":
            if self._reload and self._app is None:
                self._serve()
            return self._terminal.run(command)
        if "serve" in words:
            self._ini, self._reload = words[words.index("--ini") + 1], "--reload" in words
            self._serve()
            return ""
        output = StringIO()
        with (
            redirect_stdout(output),
            redirect_stderr(output),
            patch.object(command_line, "load", self._load),
        ):
            status = command_line.main(words[1:])
        assert status == 0 or "--records" in words, f"{command}: status {status}"
        return output.getvalue()

    def _load(self, ini, **options):
        environment = load(ini, **options)
        self._app = environment["app"]
        return environment

    def _serve(self):
        """Start or restart the server; curl connects to its port instead of 8888."""
        self._server.close()
        self._app = self._app or get_app(self._ini)
        port = self._server.enter_context(self._listen(self._app))
        here = f"127.0.0.1:8888:127.0.0.1:{port}"
        self._home.joinpath(".curlrc").write_text(f'silent\nconnect-to = "{here}"\n')

    def write(self, caption, text):
        """Write a file, whose name is the caption.

        Or change it: ``NAME, at the end``, ``NAME, in [app:main]`` or ``NAME, instead of SETTING``.
        """
        name, end, main, setting = _CAPTION.fullmatch(caption).groups()
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if main:
            text = path.read_text().replace("[app:main]\n", f"[app:main]\n{text}", 1)
        elif setting:
            line = rf"(?m)^{re.escape(setting)} =.*\n"
            text, number = re.subn(line, lambda match: text, path.read_text())
            assert number == 1, f"{caption}: {number} lines"
        path.write_text(f"{path.read_text()}\n{text}" if end else text)
        self._app = None
        self._forget_modules()

    def _forget_modules(self):
        """Forget the imported modules of the folder."""
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(str(self._home)):
                del sys.modules[name]

    def close(self):
        self._server.close()
        self._forget_modules()

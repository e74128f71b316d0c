"""Command-line output: messages, exit codes and progress."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from cliquet.settings.validation import InvalidSettings

DONE, FAILED, MISUSED = 0, 1, 2

#: The exit code that shells report for a command ended by ``SIGINT``.
INTERRUPTED = 130

#: Seconds between two reports of progress, on a terminal and elsewhere.
_PAUSE = 0.1
_LONG_PAUSE = 10.0

_BAR_WIDTH = 30


class CommandError(Exception):
    """An error that the user can fix, reported in one line.

    :param code: the exit code of the command.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def print_message(line: str) -> None:
    """Write a message to the standard error."""
    print(f"cliquet: {line}", file=sys.stderr, flush=True)


def format_error(error: BaseException) -> str:
    """Return the message of an exception in one line, or in one line per invalid setting."""
    if isinstance(error, InvalidSettings):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines()]
    text = "; ".join(filter(None, lines)).replace(":; ", ": ")
    return f"{type(error).__name__}: {text}" if isinstance(error, KeyError) or not text else text


class Progress:
    """Progress report: a bar on a terminal, a line from time to time elsewhere.

    :param label: the label of the report.
    :param total: the number of items to process.
    :param stream: the standard error by default.
    """

    def __init__(self, label: str, total: int, stream: TextIO | None = None) -> None:
        self._label = label
        self._total = total
        self._stream = stream or sys.stderr
        self._on_terminal = self._stream.isatty()
        self._pause = _PAUSE if self._on_terminal else _LONG_PAUSE
        self._done = 0
        self._reported = time.monotonic()
        self._shown = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._show("")

    def advance(self, number: int) -> None:
        """Record that ``number`` more items were processed."""
        self._done += number
        now = time.monotonic()
        if now - self._reported < self._pause:
            return
        self._reported = now
        if self._on_terminal:
            self._show(self._bar())
        else:
            print(f"{self._label}: {self._done} of {self._total}", file=self._stream, flush=True)

    def _bar(self) -> str:
        part = min(1.0, self._done / self._total) if self._total else 1.0
        bar = ("#" * int(part * _BAR_WIDTH)).ljust(_BAR_WIDTH, ".")
        line = f"[{bar}] {self._done} of {self._total} {self._label}"
        return line[: shutil.get_terminal_size().columns - 1]

    def _show(self, line: str) -> None:
        """Replace the current line."""
        if self._shown or line:
            blank = " " * len(self._shown)
            self._stream.write(f"\r{blank}\r{line}")
            self._stream.flush()
        self._shown = line

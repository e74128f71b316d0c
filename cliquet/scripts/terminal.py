"""What the commands tell: mistakes, exit codes, and how far they are."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import TextIO

DONE, FAILED, MISUSED = 0, 1, 2

#: What a shell gives for a command that ``SIGINT`` has ended.
INTERRUPTED = 130

#: How many seconds to wait before telling again how far one is, and the same off terminals.
_PAUSE = 0.1
_LONG_PAUSE = 10.0

_BAR_WIDTH = 30


class Mistake(Exception):
    """Something that the user can put right, told in a line.

    :param code: what the command exits with.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def tell(line: str) -> None:
    """Write a line that is no result, but about the command."""
    print(f"cliquet: {line}", file=sys.stderr, flush=True)


def explained(error: BaseException) -> str:
    """Return what an exception says, in one line, without where the code says it."""
    lines = [line.strip() for line in str(error).splitlines()]
    text = "; ".join(filter(None, lines)).replace(":; ", ": ")
    return f"{type(error).__name__}: {text}" if isinstance(error, KeyError) or not text else text


class Progress:
    """How far something is: a bar on a terminal, from time to time a line elsewhere.

    :param label: what it is about.
    :param total: how many there are to do.
    :param stream: the standard error by default.
    """

    def __init__(self, label: str, total: int, stream: TextIO | None = None) -> None:
        self._label = label
        self._total = total
        self._stream = stream or sys.stderr
        self._on_terminal = self._stream.isatty()
        self._pause = _PAUSE if self._on_terminal else _LONG_PAUSE
        self._done = 0
        self._told = time.monotonic()
        self._shown = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._show("")

    def advance(self, number: int) -> None:
        """Note that ``number`` more are done."""
        self._done += number
        now = time.monotonic()
        if now - self._told < self._pause:
            return
        self._told = now
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
        """Show a line in the place of the one before."""
        if self._shown or line:
            blank = " " * len(self._shown)
            self._stream.write(f"\r{blank}\r{line}")
            self._stream.flush()
        self._shown = line

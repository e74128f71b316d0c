"""Command-line output: messages, exit codes and progress."""

from __future__ import annotations

import sys
import time

from cliquet.settings.validation import InvalidSettings

DONE, FAILED, MISUSED = 0, 1, 2

#: The exit code that shells report for a command ended by ``SIGINT``.
INTERRUPTED = 130

#: Minimum time between two progress reports, in seconds.
_PAUSE = 5.0


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
    """Progress report on the standard error: at most one line every five seconds.

    :param label: the label of the report.
    :param total: the number of items to process.
    """

    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = total
        self._done = 0
        self._reported = time.monotonic()

    def advance(self, number: int) -> None:
        """Record that ``number`` more items were processed."""
        self._done += number
        now = time.monotonic()
        if now - self._reported >= _PAUSE:
            self._reported = now
            print(f"{self._label}: {self._done} of {self._total}", file=sys.stderr, flush=True)

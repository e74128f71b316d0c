"""Signals and waiting, common to the servers of ``cliquet serve``."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

#: Seconds given to requests in progress when the server stops.
GRACE = 30

# Seconds to wait for the server to start, and between two attempts to connect to it.
_START_TIMEOUT = 60
_POLL = 0.05

# An option of prctl(2).
_PR_SET_PDEATHSIG = 1

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_signals() -> list[signal.Signals]:
    """Return the signals that stop the server, without a SIGHUP that is ignored (nohup)."""
    is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [number for number in SIGNALS if not (number == signal.SIGHUP and is_ignored)]


@contextmanager
def restored_signals() -> Iterator[None]:
    """Restore the handlers of signals after the block."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def stop_with_parent(parent: int | None = None) -> None:
    """Have the kernel stop this process when its parent ends, even if that is killed.

    Only Linux supports this; other systems ignore it.

    :param parent: process id of the parent; if it has already ended, stop now. None: unknown.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if parent not in (None, os.getppid()):
        os.kill(os.getpid(), signal.SIGTERM)


def accepts(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def run_when(condition: Callable[[], Any], action: Callable[[], Any]) -> threading.Thread:
    """Call a function in a thread once a condition is met, for a minute at most."""

    def wait() -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            if condition():
                action()
                return
            time.sleep(_POLL)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread

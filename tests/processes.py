"""Helpers for the processes that tests start."""

import ctypes
import os
import signal
import socket
import time
from contextlib import suppress

START_TIMEOUT = 60  # seconds
_PR_SET_PDEATHSIG = 1


def free_port():
    """Return a TCP port of 127.0.0.1 on which no process listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def becomes_true(condition, seconds=START_TIMEOUT):
    """Wait until a condition is met, or the seconds are over; return whether it is."""
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return met


def kill_group(process):
    """Kill a process that was started in a session of its own, and its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def end_with_parent(parent=None):
    """Return a function after which a child process ends with the thread that started it.

    :param parent: id of the process of that thread, by default the current process.
    """
    parent = parent or os.getpid()
    libc = ctypes.CDLL(None)  # loaded before the process is forked

    def set_up():
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before the call
            os._exit(1)

    return set_up

"""Helpers for the processes that tests start."""

import ctypes
import signal
import socket

START_TIMEOUT = 30  # seconds
_PR_SET_PDEATHSIG = 1


def free_port():
    """Return a TCP port of 127.0.0.1 on which no process listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def die_with_parent():
    """Let the kernel end this process when the thread that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

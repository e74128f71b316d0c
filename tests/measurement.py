"""The code whose coverage is measured. Tracing makes it two to three times slower."""

import importlib
import pkgutil
import sys
import threading
from contextlib import contextmanager, nullcontext

import cliquet

#: No trace functions: coverage isn't measured.
OFF = (None, None)

_measured = set()


@contextmanager
def tracing(functions):
    """Run a block with these trace functions: of the current thread, and of threads it starts."""
    former = sys.gettrace(), threading.gettrace()
    _set(functions)
    try:
        yield former
    finally:
        _set(former)


def without_coverage():
    """Run a block several times faster, because its lines aren't traced."""
    return tracing(OFF)


def _set(functions):
    sys.settrace(functions[0])
    threading.settrace(functions[1])


def measured_once(key):
    """Return a context in which coverage is measured the first time that the key is used.

    The block must run the same code for the same key.
    """
    if sys.gettrace() is None:
        return nullcontext()
    if key in _measured:
        return without_coverage()
    _measured.add(key)
    return nullcontext()


def import_package():
    """Import all modules, whose coverage isn't measured while pytest collects tests."""
    for module in pkgutil.walk_packages(cliquet.__path__, "cliquet."):
        if module.name != "cliquet.__main__":
            importlib.import_module(module.name)

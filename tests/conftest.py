"""Fixtures of all tests."""

import gc
import logging
import os
import signal
import sys
import tempfile
from itertools import islice
from pathlib import Path

import pytest
import structlog
import webtest
from hypothesis import HealthCheck, settings, strategies

from cliquet.drivers.postgresql import transaction
from cliquet.settings import SETTINGS
from cliquet.testing import get_request_class, get_user_headers
from tests import postgresql_server, testapp
from tests.reuse import Applications

ROOT = Path(__file__).resolve().parent.parent

#: Tests of whole applications, which ``dev.py test --quick`` leaves out.
OF_APPLICATIONS = {
    *("applications", "conformance", "docs", "seeds"),
    *("test_benchmarks.py", "test_example.py", "test_guarantees.py", "test_guarantees_http.py"),
    *("test_growth.py", "test_hostile.py", "test_load.py", "test_outages.py"),
    *("test_properties.py", "test_serving.py", "test_truth.py", "test_engines.py"),
    *("test_permissions.py", "test_redis_evicted_keys.py", "test_transaction_per_request.py"),
    *("test_viewsets.py", "test_equivalence.py", "test_verified_copies.py"),
}

#: Tests that start processes or take seconds each.
LONG = {
    *("docs", "scripts", "seeds", "test_processes.py", "test_equivalence.py"),
    *("test_benchmarks.py", "test_deployment.py", "test_dev.py", "test_guarantees_http.py"),
    *("test_installation.py", "test_load.py", "test_measurement.py", "test_newrelic.py"),
    *("test_outages.py", "test_packaging.py", "test_sentry.py", "test_serving.py", "test_soak.py"),
}

# The same few examples each time, however slow the computer is. A longer run with other examples:
# ``dev.py test --hypothesis-profile=thorough tests/...``.
settings.register_profile(
    "tests",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=20,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile(
    "thorough", settings.get_profile("tests"), derandomize=False, max_examples=500
)
settings.load_profile("tests")
# Also for the processes that tests start.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(ROOT / ".hypothesis"))

# A process that was started in the background ignores the signal, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside():
    """Without the variables that settings come from, as plain as ``BACKOFF`` or ``HTTP_HOST``."""
    read = {setting.key.replace(".", "_").upper() for setting in SETTINGS}
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in list(os.environ):
            ours = name.startswith(("CLIQUET_", "TESTAPP_"))
            if name in read or (ours and not name.startswith("CLIQUET_TEST_")):
                monkeypatch.delenv(name)
        yield


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def isolate_process():
    """Undo what applications and commands change in the process."""
    folders, modules = sys.path[:], set(sys.modules)
    levels = {logger: logger.level for logger in map(logging.getLogger, ("", "cliquet"))}
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    sys.path[:] = folders
    for name in set(sys.modules) - modules:
        if _is_temporary(sys.modules[name]):
            del sys.modules[name]
    close_unused_files()
    for logger, level in levels.items():
        logger.setLevel(level)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture
def alice():
    return get_user_headers("alice")


@pytest.fixture
def bob():
    return get_user_headers("bob")


def close_unused_files():
    """Close the connections of unused applications if there are many.

    They are only closed when the garbage collector finds them, and a process can't open any number.
    """
    if _open_files() > _files["limit"]:
        gc.collect()
        _files["limit"] = _open_files() + 200


_files = {"limit": 400}


def _open_files():
    """Return the number of open files of this process, or 0 if it is unknown."""
    return len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 0


def _is_temporary(module):
    """Return whether a module was imported from the folder of a test."""
    file = getattr(module, "__file__", None) or ""
    return file.startswith(tempfile.gettempdir()) and not file.startswith((str(ROOT), sys.prefix))


@pytest.fixture(scope="session")
def applications():
    return Applications()


@pytest.fixture
def serve(applications, request):
    """A function of settings, which returns a client of the test application.

    In the same module, the same arguments give the same application.
    """
    module = request.module.__name__

    def serve(settings=None, setup=None, prefix="v0", **options):
        includes = () if setup is None else (setup,)
        arguments = [sorted(each.items()) for each in (settings or {}, options)]
        key = module, repr(arguments), includes
        app = applications.get(key, lambda: testapp.main(settings, None, *includes, **options))
        client = webtest.TestApp(app)
        client.RequestClass = get_request_class(prefix)
        client.registry = app.registry
        return client

    return serve


@pytest.fixture
def serve_anew(serve, applications):
    """Like ``serve``, with an application that no test has used before."""

    def serve_anew(*args, **kwargs):
        applications.clear()
        return serve(*args, **kwargs)

    return serve_anew


@pytest.fixture
def statements(monkeypatch):
    """The SQL that is sent to PostgreSQL, each string in one round trip."""
    executed, execute = [], transaction._execute

    def recorded(cursor, batch):
        executed.append(";".join(statement.sql for statement in batch))
        return execute(cursor, batch)

    monkeypatch.setattr(transaction, "_execute", recorded)
    return executed


def pytest_collection_modifyitems(config, items):
    for item in items:
        if not OF_APPLICATIONS.isdisjoint(item.path.parts):
            item.add_marker("application")
    if hasattr(config, "workerinput"):
        items[:] = _longest_first(items, config.workerinput["workercount"])


def _longest_first(items, workers):
    """Order the tests so that each worker begins with some of the long ones, module by module.

    pytest-xdist gives each worker an equal part of the list. A worker that is ready takes tests
    from the end of another's part: then only short ones are left.
    """
    modules = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    long = [path for path in modules if not LONG.isdisjoint(path.parts)]
    short = (item for path in modules if path not in long for item in modules[path])
    ordered = []
    for worker in range(workers):
        for path in long[worker::workers]:
            ordered += modules[path]
        end = len(items) * (worker + 1) // workers
        ordered += islice(short, max(0, end - len(ordered)))
    return ordered


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    if not hasattr(session.config, "workerinput"):
        # Hypothesis needs three seconds to compute a table of Unicode, and saves it. The processes
        # of pytest-xdist then only load it.
        strategies.text().validate()
    gc.disable()  # almost no object is garbage, and looking for it takes a fifth of the time
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish():
    gc.freeze()  # so that the garbage collector skips the modules and tests


def pytest_sessionfinish(session, exitstatus):
    postgresql_server.stop()

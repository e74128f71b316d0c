"""Health checks of an application, with a time limit."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import transaction
from pyramid.threadlocal import RequestContext

from cliquet.loggers import get_logger, thread_context
from cliquet.types import Request
from cliquet.utils import forget_variables

logger = get_logger(__name__)

#: A function of the request, which returns whether a component works; None counts as True.
Check = Callable[[Any], bool | None]


class Heartbeats(dict[str, Check]):
    """The health checks of an application, by name (``registry.heartbeats``).

    They run concurrently, each in a thread, with at most one thread per name regardless
    of the number of requests: blocked checks neither accumulate nor prevent the process
    from exiting.
    """

    #: Seconds to reuse a result, because any client can request checks, and they write.
    cache_seconds = 1.0

    def __init__(self, checks: Mapping[str, Check] = MappingProxyType({})) -> None:
        super().__init__(checks)
        self._mutex = threading.Lock()
        self._runs: dict[str, _Run] = {}

    def check(self, request: Request, timeout: float) -> dict[str, bool | None]:
        """Return the result of each check; False if it takes longer than ``timeout``.

        Checks run outside the request's transaction, which can end before them: their writes
        are saved immediately, as in a script.

        :param timeout: in seconds, from the start of a check, which can be earlier than this
            call.
        """
        runs = [self._run(name, check, request) for name, check in self.items()]
        return {run.name: run.result_within(timeout) for run in runs}

    def check_sequentially(self, request: Request) -> dict[str, bool | None]:
        """Return the result of each check, inside the transaction of the request."""
        return {name: _call(name, check, request) for name, check in self.items()}

    def _run(self, name: str, check: Check, request: Request) -> _Run:
        """Return the current or recent run of the check, otherwise start a new one."""
        with self._mutex:
            run = self._runs.get(name)
            if run is None or not run.is_usable(check, self.cache_seconds):
                run = self._runs[name] = _Run(name, check, request)
            return run


class _Run:
    """A run of a check in a thread."""

    def __init__(self, name: str, check: Check, request: Request) -> None:
        self.name = name
        self._check = check
        self._began = time.monotonic()
        self._ended = math.inf
        self._result: bool | None = False
        self.thread = threading.Thread(
            target=thread_context().run,
            args=(self._call, check, request),
            name=f"heartbeat-{name}",
            daemon=True,
        )
        self.thread.start()

    def is_usable(self, check: Check, cache_seconds: float) -> bool:
        """Return whether this run of ``check`` is in progress, or recent enough to reuse."""
        if self.thread.is_alive():
            return True
        return self._check is check and time.monotonic() - self._ended < cache_seconds

    def result_within(self, timeout: float) -> bool | None:
        """Return the result; False if there is none after ``timeout`` seconds."""
        self.thread.join(max(0.0, self._began + timeout - time.monotonic()))
        if self.thread.is_alive():
            logger.error("The heartbeat of %s takes more than %g seconds", self.name, timeout)
            return False
        return self._result

    def _call(self, check: Check, request: Request) -> None:
        self._result = _call(self.name, partial(_call_in_thread, check), request)
        self._ended = time.monotonic()


def _call(name: str, check: Check, request: Request) -> bool | None:
    try:
        return check(request)
    except Exception as error:
        forget_variables(error)
        logger.exception("The heartbeat of %s failed", name)
        return False


def _call_in_thread(check: Check, request: Request) -> bool | None:
    """Call a check in a thread, with the thread-local data of a request."""
    with RequestContext(request), transaction.manager:
        return check(request)

"""The heartbeats of an application: whether its backends work, told in a bounded time."""

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
from cliquet.utils import forget_variables

logger = get_logger(__name__)

#: A function of the request, which tells whether something works; None is fine too.
Check = Callable[[Any], bool | None]


class Heartbeats(dict[str, Check]):
    """The checks of an application, by name (``registry.heartbeats``).

    They run side by side, each in a thread. There is one of each name at most,
    however many ask: checks that hang neither pile up, nor keep the process
    from ending.
    """

    #: Seconds for which a result is used again: anybody can ask, and checks write.
    cache_seconds = 1.0

    def __init__(self, checks: Mapping[str, Check] = MappingProxyType({})) -> None:
        super().__init__(checks)
        self._mutex = threading.Lock()
        self._runs: dict[str, _Run] = {}

    def ask(self, request: Any, timeout: float) -> dict[str, bool | None]:
        """Return what each check answers; false for one that takes longer than ``timeout``.

        They take no part in the request's transaction, which may be over before
        they are: what they write is saved at once, as in a script.

        :param timeout: in seconds, from the moment when a check began; for one
            that is late already nobody waits.
        """
        runs = [self._run(name, check, request) for name, check in self.items()]
        return {run.name: run.answer_within(timeout) for run in runs}

    def ask_in_turn(self, request: Any) -> dict[str, bool | None]:
        """Return what each check answers, within the transaction of the request."""
        return {name: _call(name, check, request) for name, check in self.items()}

    def _run(self, name: str, check: Check, request: Any) -> _Run:
        """Return the current or recent run of the check, or else a new one."""
        with self._mutex:
            run = self._runs.get(name)
            if run is None or not run.is_usable(check, self.cache_seconds):
                run = self._runs[name] = _Run(name, check, request)
            return run


class _Run:
    """One run of a check, in a thread."""

    def __init__(self, name: str, check: Check, request: Any) -> None:
        self.name = name
        self._check = check
        self._began = time.monotonic()
        self._ended = math.inf
        self._answer: bool | None = False
        self.thread = threading.Thread(
            target=thread_context().run,
            args=(self._call, check, request),
            name=f"heartbeat-{name}",
            daemon=True,
        )
        self.thread.start()

    def is_usable(self, check: Check, cache_seconds: float) -> bool:
        """Return whether the run goes on, or ran this check less than ``cache_seconds`` ago."""
        if self.thread.is_alive():
            return True
        return self._check is check and time.monotonic() - self._ended < cache_seconds

    def answer_within(self, timeout: float) -> bool | None:
        """Return the answer; false when it isn't there after ``timeout`` seconds."""
        self.thread.join(max(0.0, self._began + timeout - time.monotonic()))
        if self.thread.is_alive():
            logger.error("The heartbeat of %s takes more than %g seconds", self.name, timeout)
            return False
        return self._answer

    def _call(self, check: Check, request: Any) -> None:
        self._answer = _call(self.name, partial(_call_apart, check), request)
        self._ended = time.monotonic()


def _call(name: str, check: Check, request: Any) -> bool | None:
    try:
        return check(request)
    except Exception as error:
        forget_variables(error)
        logger.exception("The heartbeat of %s failed", name)
        return False


def _call_apart(check: Check, request: Any) -> bool | None:
    """Call a check in a thread, with what the thread of a request has."""
    with RequestContext(request), transaction.manager:
        return check(request)

"""Loggers of the toolkit, and the fields common to the log lines of a request."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextvars import Context, ContextVar, copy_context
from types import TracebackType
from typing import Any
from urllib.parse import quote

import structlog

from cliquet.state import state_of
from cliquet.types import Request
from cliquet.utils.text import indented, one_line

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

#: The values bound to the loggers: see :class:`SharedContext`.
bound_values: ContextVar[dict[str, Any] | None] = ContextVar(
    "cliquet.loggers.context", default=None
)
#: The current request, None outside of requests.
current_request: ContextVar[Any] = ContextVar("current_request", default=None)

# The renderer of lines outside of requests: that of the latest application.
_default_renderer: list[Any] = []

# Characters that WebOb doesn't quote in URLs.
_PATH_SAFE = "/~!$&'()*+,;=:@"


class SharedContext(MutableMapping[str, Any]):
    """The values bound to the loggers during a request: ``logger.bind(key=value)``.

    All loggers of a thread or an asynchronous task share it; structlog uses it instead of
    a dictionary per logger.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and not isinstance(args[0], SharedContext):
            self._values().update(*args)
        self._values().update(kwargs)

    @staticmethod
    def _values() -> dict[str, Any]:
        values = bound_values.get()
        if values is None:
            values = {}
            bound_values.set(values)
        return values

    def __getitem__(self, key: str) -> Any:
        return self._values()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._values()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def copy(self) -> dict[str, Any]:
        """Return the bound values as an independent dictionary."""
        return dict(self._values())


def thread_context() -> Context:
    """Return a context for another thread of this request, with its own bound values."""
    context = copy_context()
    context.run(bound_values.set, dict(bound_values.get() or {}))
    return context


def current_renderer() -> Any:
    """Return the renderer of the current application, or of the latest one.

    :returns: None before any application is configured.
    """
    request = current_request.get()
    if request is not None:
        return state_of(request.registry).log_renderer
    return _default_renderer[-1] if _default_renderer else None


def set_default_renderer(renderer: object) -> None:
    """Set the renderer of lines outside of requests."""
    _default_renderer[:] = [renderer]


#: The names of the fields in every line of a request.
REQUEST_FIELDS = ("agent", "path", "method", "querystring", "lang", "uid", "authn_type", "errno")


def request_fields(request: Request) -> dict[str, Any]:
    """Return the fields of every line of a request, named in :data:`REQUEST_FIELDS`."""
    environ = request.environ
    raw = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    try:
        querystring = dict(request.GET.items())  # dict(request.GET) takes quadratic time
    except UnicodeDecodeError:
        querystring = {}
    return {
        "agent": request.headers.get("User-Agent"),
        "path": quote(raw.encode("latin-1", "replace"), safe=_PATH_SAFE),
        "method": request.method,
        "querystring": querystring,
        "lang": request.headers.get("Accept-Language"),
        # Don't run the policies: the user is unknown unless the view needed it.
        "uid": getattr(request, "selected_userid", None),
        "authn_type": getattr(request, "authn_type", None),
        "errno": None,
    }


def add_request_fields(
    logger: Any, name: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Add the fields of the request to an event (structlog processor).

    ``logger.new()`` drops them along with all other bound values.
    """
    request = current_request.get()
    if request is not None and "request_id" in event_dict and "authn_type" not in event_dict:
        for key, value in request_fields(request).items():
            event_dict.setdefault(key, value)
    return event_dict


def _plain(logger: Any, name: str, event_dict: MutableMapping[str, Any]) -> str:
    """Render an event before any application is configured."""
    event = dict(event_dict)
    line, traceback_ = str(event.pop("event", "")), event.pop("exception", None)
    line = one_line(" ".join([line, *(f"{key}={value!r}" for key, value in event.items())]))
    return line if traceback_ is None else f"{line}\n{indented(traceback_)}"


class _RenderedRecord(logging.LogRecord):
    """A record whose message contains the traceback; formatters don't append it.

    Handlers that send exceptions, such as Sentry's, use ``exc_info``.
    """

    @property
    def exc_text(self) -> str | None:
        return None

    @exc_text.setter
    def exc_text(self, value: str | None) -> None:
        pass


def render(logger: Any, name: str, event_dict: MutableMapping[str, Any]) -> Any:
    """Render an event like the current application (structlog processor).

    Handlers also get the exception, but don't write its traceback again. With
    ``show_traceback=False``, it isn't in the line either.
    """
    exc_info = find_exc_info(event_dict.pop("exc_info", None))
    if event_dict.pop("show_traceback", True) and exc_info is not None:
        event_dict["exception"] = format_exception(exc_info)
    name = "error" if name == "exception" else name  # renderers expect the name of a level
    line = (current_renderer() or _plain)(logger, name, event_dict)
    if exc_info is None or not isinstance(line, str) or not isinstance(logger, logging.Logger):
        return line
    level = logging.getLevelNamesMapping().get(name.upper(), logging.ERROR)
    path, number, function = _caller()
    record = _RenderedRecord(logger.name, level, path, number, line, None, exc_info, function)
    logger.handle(record)
    raise structlog.DropEvent


#: The configuration of structlog.
CONFIGURATION: dict[str, Any] = {
    "context_class": SharedContext,
    "wrapper_class": structlog.stdlib.BoundLogger,
    "processors": [structlog.stdlib.filter_by_level, add_request_fields, render],
}
logger_factory = structlog.stdlib.LoggerFactory()

_POSITIONAL = structlog.stdlib.PositionalArgumentsFormatter()


# Modules in the stack between the caller of a logger and its record.
_PLUMBING = re.compile(r"(logging|structlog|cliquet\.logs|cliquet\.loggers)(\.|$)")


def _caller() -> tuple[str, int, str]:
    """Return the file, line and function of the caller of a logger."""
    frame = sys._getframe()
    while frame.f_back and _PLUMBING.match(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name


def format_exception(exc_info: _ExcInfo) -> str:
    """Return the traceback as a string."""
    return "".join(traceback.format_exception(*exc_info)).rstrip()


def find_exc_info(value: object) -> _ExcInfo | None:
    """Return type, exception and traceback of an ``exc_info`` argument of logging."""
    if isinstance(value, tuple):
        value = value[1]
    error = value if isinstance(value, BaseException) else sys.exc_info()[1] if value else None
    return None if error is None else (type(error), error, error.__traceback__)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module of the toolkit, whatever the configuration of structlog."""
    processors = [_POSITIONAL, *CONFIGURATION["processors"]]
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logger_factory(name), **{**CONFIGURATION, "processors": processors}
    )
    return logger

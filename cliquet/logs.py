"""Structured logs: one line per request, in the configured format."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from pyramid.config import Configurator
from pyramid.events import ApplicationCreated, NewRequest, NewResponse
from pyramid.response import Response

from cliquet import utils
from cliquet.loggers import (
    CONFIGURATION,
    REQUEST_FIELDS,
    SharedContext,
    bound_values,
    current_request,
    get_logger,
    logger_factory,
    request_fields,
    set_default_renderer,
    thread_context,
)
from cliquet.settings.types import NAME
from cliquet.state import state_of
from cliquet.transactions import will_retry
from cliquet.types import Request, Settings
from cliquet.utils import decode_header, json, random_bytes_hex
from cliquet.utils.http import is_subrequest
from cliquet.utils.text import indented, one_line

# Valid request ids from clients, which are written to logs.
_REQUEST_ID = re.compile(r"[!-~]{1,128}")


def decode_value(value: object) -> str:
    """Return a value of a log line as a string."""
    try:
        return decode_header(value) if isinstance(value, (bytes, str)) else str(value)
    except UnicodeDecodeError:
        return repr(value)


# The multi-line fields.
_TRACEBACKS = ("exception", "stack")

# Bold, dim and reset.
_COLOURS = ("\x1b[1m", "\x1b[2m", "\x1b[0m")


def _on_terminals(logger: Any) -> bool:
    """Return whether all handlers write to terminals, which can show colors.

    Lines have the same form for all handlers, and files must not contain colors.
    """
    streams: list[Any] = []
    while isinstance(logger, logging.Logger):
        streams += [getattr(handler, "stream", None) for handler in logger.handlers]
        logger = logger.parent if logger.propagate else None
    are_terminals = streams and all(hasattr(each, "isatty") and each.isatty() for each in streams)
    return bool(are_terminals) and not os.environ.get("NO_COLOR")


class ClassicLogRenderer:
    """Renderer of readable lines: request, status, duration, event, other fields.

    On a terminal it uses colors, unless the variable ``NO_COLOR`` is set
    (https://no-color.org).

    :param settings: settings of the application.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, logger: Any, name: str, event_dict: MutableMapping[str, Any]) -> str:
        event = dict(event_dict)
        bright, dim, reset = _COLOURS if _on_terminals(logger) else ("", "", "")
        title = one_line(decode_value(event.pop("event", "")))
        outcome = one_line(f"{event.pop('code', '?')} ({event.pop('t', '?')} ms)")
        if "path" in event:
            method, url = self._request(event)
            title = f'"{bright}{method:<5} {url}{reset}" {outcome} {title}'
        rest = " ".join(_pair(key, value) for key, value in sorted(event.items()))
        return f"{title} {dim}{rest}{reset}"

    def _request(self, event: dict[str, Any]) -> tuple[str, str]:
        method = one_line(decode_value(event.pop("method", "?")))
        url = decode_value(event.pop("path"))
        query = event.pop("querystring", None)
        if query:
            items = query.items()
            url += "?" + "&".join(f"{decode_value(key)}={decode_value(v)}" for key, v in items)
        return method, one_line(url)


def _pair(key: str, value: object) -> str:
    pair = f"{key}={decode_value(value)}"
    return indented(pair) if key in _TRACEBACKS else one_line(pair)


_SUMMARIES = ("request.summary", "subrequest.summary")

# The fields that short lines omit.
_HIDDEN = frozenset(
    (*REQUEST_FIELDS, "request_id", "time", "collection_id", "collection_timestamp", "limit")
)
_HIDDEN_IN_SUMMARIES = _HIDDEN - {"errno", "method", "path", "querystring"}


class ShortLogRenderer(ClassicLogRenderer):
    """Renderer of short lines for development: request, status and duration.

    The lines of other events contain their message and their own fields only.

    :param settings: settings of the application.
    """

    def __call__(self, logger: Any, name: str, event_dict: MutableMapping[str, Any]) -> str:
        event = dict(event_dict)
        is_summary = event.get("event") in _SUMMARIES
        for key in _HIDDEN_IN_SUMMARIES if is_summary else _HIDDEN:
            event.pop(key, None)
        if event.get("errno", "") is None:
            del event["errno"]
        if is_summary and "path" in event:
            event["event"] = event["event"].removesuffix("request.summary")
        return super().__call__(logger, name, event).rstrip()


class MozillaHekaRenderer:
    """Renderer of JSON in the layout of Heka messages.

    :param settings: settings of the application.
    """

    ENV_VERSION = "2.0"
    #: The syslog severities (RFC 5424, section 6.2.1), with the same values as in 3.1.
    SEVERITIES = {
        "critical": 0,
        "fatal": 0,
        "exception": 2,
        "error": 2,
        "warning": 4,
        "warn": 4,
        "info": 6,
        "debug": 7,
    }

    def __init__(self, settings: Settings) -> None:
        self.appname = settings["project_name"]
        self.hostname = os.uname().nodename

    @property
    def pid(self) -> int:
        """The id of the process, which can be a fork of the one that created the renderer."""
        return os.getpid()

    def __call__(self, logger: Any, name: str, event_dict: MutableMapping[str, Any]) -> str:
        event = dict(event_dict)
        message = {
            "Timestamp": utils.msec_time() * 1_000_000,
            "Logger": self.appname,
            "Type": str(event.pop("event", "")),
            "Hostname": self.hostname,
            "Severity": self.SEVERITIES.get(name, 7),
            "Pid": self.pid,
            "EnvVersion": self.ENV_VERSION,
        }
        message.update((key, event.pop(key)) for key in list(message) if key in event)
        message["Fields"] = {key: _flat(value) for key, value in event.items()}
        line = json.dumps(message, default=decode_value)
        if line.isprintable():
            return line
        return "".join(char if char.isprintable() else json.escape(char) for char in line)


def _flat(value: object) -> Any:
    """Return a field of a Heka message: a scalar or a list of strings."""
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return value
    return json.dumps_ascii(value, default=decode_value)


class _Escaped:
    """Wrapper of structlog renderers that escapes values for logs."""

    def __init__(self, render: Any) -> None:
        self._render = render
        # This renderer uses repr(), which escapes values.
        self._keeps_values = isinstance(render, structlog.processors.KeyValueRenderer)

    def __call__(self, logger: Any, name: str, event_dict: MutableMapping[str, Any]) -> Any:
        event = {one_line(key): self._escaped(key, value) for key, value in event_dict.items()}
        return self._render(logger, name, event)

    def _escaped(self, key: str, value: object) -> Any:
        if self._keeps_values or not isinstance(value, str):
            return value
        return indented(value) if key in _TRACEBACKS else one_line(value)


_standard_logger = logging.getLogger("cliquet")
_toolkit_logger = get_logger("cliquet")

#: The logger of request summaries.
summary_logger = structlog.get_logger("cliquet")

#: The logger for applications; its lines contain the name of the calling module.
logger = structlog.get_logger()


def setup_logging(config: Configurator) -> None:
    """Configure structlog, and log one line per request and one at start-up.

    structlog is configured once per process, but each line has the format of the
    application that serves the request.
    """
    renderer = state_of(config.registry).log_renderer = _load_renderer(config)
    set_default_renderer(renderer)
    structlog.configure(logger_factory=logger_factory, **CONFIGURATION)

    def on_application_created(event: Any) -> None:
        settings = event.app.registry.settings
        name, version = settings["project_name"], settings["project_version"]
        _toolkit_logger.info("%s %s starting.", name, version)

    def on_new_request(event: Any) -> None:
        _begin(event.request)

    def on_new_response(event: Any) -> None:
        request = event.request
        if is_subrequest(request):
            return
        if not hasattr(request, "log_context"):  # an outer tween has responded
            _begin(request)
        event.response.headers["X-Request-Id"] = request.request_id
        if hasattr(request, "log_start") and not will_retry(request):
            summary_logger.info("request.summary", **summary(request, event.response))

    config.add_subscriber(on_application_created, ApplicationCreated)
    config.add_subscriber(on_new_request, NewRequest)
    config.add_subscriber(on_new_response, NewResponse)


def _load_renderer(config: Configurator) -> Any:
    """Return the renderer in the settings. Those of structlog take no argument."""
    class_ = NAME.parse(config.get_settings()["logging_renderer"])
    if class_.__module__.partition(".")[0] == structlog.__name__:
        render = class_()
        # ASCII JSON is already escaped.
        is_json = isinstance(render, structlog.processors.JSONRenderer)
        return render if is_json else _Escaped(render)
    return class_(config.get_settings())


def request_id(request: Request) -> str:
    """Return the id of a request, for its log lines and its response.

    It is the value of the header ``X-Request-Id``. If that is missing or not safe for logs, a
    new id is generated and set as the header, so that sub-requests inherit it. The requests of
    a batch have the id of the batch.
    """
    parent = getattr(request, "parent", None)
    if parent is not None:
        return request_id(parent)
    current: str = request.environ.get("HTTP_X_REQUEST_ID", "")
    if not (current and _REQUEST_ID.fullmatch(current)):
        current = request.environ["HTTP_X_REQUEST_ID"] = random_bytes_hex(16)
    return current


def _begin(request: Request) -> None:
    """Set the context of the request; sub-requests copy their parent's.

    Requests can be nested, even those of different applications.
    """
    before, request_before = bound_values.get(), current_request.get()
    request.log_context = {"request_id": request.request_id}
    if before and is_subrequest(request):
        inherited = {key: value for key, value in before.items() if key not in REQUEST_FIELDS}
        request.log_context = {**inherited, **request.log_context}
    bound_values.set(request.log_context)
    current_request.set(request)
    if _standard_logger.isEnabledFor(logging.INFO):
        request.log_start = time.perf_counter()

    def end(request: Request) -> None:
        bound_values.set(before)
        current_request.set(request_before)

    request.add_finished_callback(end)


def log_subrequest(logger: Any, request: Request, response: Response) -> None:
    """Log the line of a completed sub-request of a batch."""
    if hasattr(request, "log_start"):
        token = bound_values.set(request.log_context)
        logger.info("subrequest.summary", **summary(request, response))
        bound_values.reset(token)


def bind_summary(**fields: Any) -> None:
    """Add fields to the line of this request, if the logger is enabled."""
    if _standard_logger.isEnabledFor(logging.INFO):
        SharedContext(fields)


def summary(request: Request, response: Response) -> dict[str, Any]:
    """Return the fields of the line of a request.

    Fields that ``logger.new()`` dropped are omitted.
    """
    fields: dict[str, Any] = {
        "code": response.status_code,
        "t": int((time.perf_counter() - request.log_start) * 1000),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }
    if "request_id" not in request.log_context:
        return fields
    errno = getattr(response, "errno", None)
    return {**request_fields(request), **request.log_context, **fields, "errno": errno}


__all__ = [
    "ClassicLogRenderer",
    "MozillaHekaRenderer",
    "SharedContext",
    "ShortLogRenderer",
    "decode_value",
    "logger",
    "setup_logging",
    "thread_context",
]

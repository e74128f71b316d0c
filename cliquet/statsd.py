"""StatsD metrics."""

from __future__ import annotations

import re
import weakref
from typing import Any
from urllib.parse import urlsplit

import statsd as statsd_module
from pyramid.config import Configurator

from cliquet.metrics import time_calls
from cliquet.settings import PREFIX
from cliquet.settings.validation import invalid
from cliquet.types import Request
from cliquet.utils import classname as class_name

# Characters that end a value or a metric.
_ENDS = re.compile(r"[|\s]")


class Client:
    """Counters and timers with a common prefix.

    :param host: the name or address of the StatsD server.
    :param port: its UDP port.
    :param prefix: the prefix of the metrics.
    """

    def __init__(self, host: str, port: int, prefix: str) -> None:
        options = {"ipv6": True} if ":" in host else {}
        self._client = statsd_module.StatsClient(host, port, prefix=prefix, **options)
        weakref.finalize(self, self._client.close)

    def watch_execution_time(
        self, obj: Any, prefix: str = "", classname: str | None = None
    ) -> None:
        """Time every call of the public methods of ``obj``."""
        classname = classname or class_name(obj)
        time_calls(obj, lambda name: self.timer(f"{prefix}.{classname}.{name}"))

    def timer(self, key: str) -> Any:
        """Return a context manager that is also a decorator, to time a block or function."""
        return self._client.timer(key)

    def count(self, key: str, unique: str | None = None) -> None:
        """Increment the counter ``key``, or add ``unique`` to the set ``key``.

        Vertical bars and white space in ``unique`` become dots: they would end the metric.
        """
        if unique is None:
            self._client.incr(key)
        else:
            self._client.set(key, _ENDS.sub(".", unique))


def statsd_count(request: Request, count_key: str) -> None:
    """Increment the counter ``count_key``, if metrics are enabled."""
    client = request.registry.statsd
    if client:
        client.count(count_key)


def load_from_config(config: Configurator) -> Client:
    """Return the client for the settings ``statsd_url`` and ``statsd_prefix``.

    :raises pyramid.exceptions.ConfigurationError: if the URL isn't a UDP URL, or its
        host can't be resolved.
    """
    settings = config.get_settings()
    try:
        url = urlsplit(settings["statsd_url"])
        if url.scheme != "udp" or not (url.hostname and url.port):
            raise ValueError(url)
        prefix = settings["statsd_prefix"] or settings["project_name"] or PREFIX
        return Client(url.hostname, url.port, prefix)
    except ValueError:  # also for an invalid port
        raise invalid(settings, "statsd_url", "udp://host:port") from None
    except OSError as error:
        expected = f"udp://host:port with a host that can be resolved: {error.strerror}"
        raise invalid(settings, "statsd_url", expected) from error

"""Metrics, sent to StatsD."""

from __future__ import annotations

import re
import weakref
from typing import Any
from urllib.parse import urlsplit

import statsd

from cliquet.checks import invalid
from cliquet.metrics import time_calls
from cliquet.settings import PREFIX
from cliquet.utils import classname as class_name

# The end of a value, or of a whole metric.
_ENDS = re.compile(r"[|\s]")


class Client:
    """Counts and times, under a prefix.

    :param host: the name or address of the StatsD server.
    :param port: its UDP port.
    :param prefix: what the names of the metrics begin with.
    """

    def __init__(self, host: str, port: int, prefix: str) -> None:
        self._client = statsd.StatsClient(host, port, prefix=prefix, ipv6=":" in host)
        weakref.finalize(self, self._client.close)

    def watch_execution_time(
        self, obj: Any, prefix: str = "", classname: str | None = None
    ) -> None:
        """Time every call of the public methods of ``obj``."""
        classname = classname or class_name(obj)
        time_calls(obj, lambda name: self.timer(f"{prefix}.{classname}.{name}"))

    def timer(self, key: str) -> Any:
        """Return a context manager, and decorator, that times what is inside."""
        return self._client.timer(key)

    def count(self, key: str, unique: str | None = None) -> None:
        """Add one to the counter ``key``, or ``unique`` to the set ``key``.

        Vertical bars and white space in ``unique`` become dots: they would end the metric.
        """
        if unique is None:
            self._client.incr(key)
        else:
            self._client.set(key, _ENDS.sub(".", unique))


def statsd_count(request: Any, count_key: str) -> None:
    """Add one to the counter ``count_key``, if metrics are on."""
    client = request.registry.statsd
    if client:
        client.count(count_key)


def load_from_config(config: Any) -> Client:
    """Return the client for the settings ``statsd_url`` and ``statsd_prefix``.

    :raises pyramid.exceptions.ConfigurationError: when the former is no URL of
        UDP, or its host isn't found.
    """
    settings = config.get_settings()
    try:
        url = urlsplit(settings["statsd_url"])
        if url.scheme != "udp" or not (url.hostname and url.port):
            raise ValueError(url)
        prefix = settings["statsd_prefix"] or settings["project_name"] or PREFIX
        return Client(url.hostname, url.port, prefix)
    except ValueError:  # a port that is none, too
        raise invalid(settings, "statsd_url", "udp://host:port") from None
    except OSError as error:
        expected = f"udp://host:port, of a host that can be found: {error.strerror}"
        raise invalid(settings, "statsd_url", expected) from error

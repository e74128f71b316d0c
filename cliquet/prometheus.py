"""Prometheus metrics at ``/__metrics__``.

.. code-block:: ini

    cliquet.includes = cliquet.prometheus

With several worker processes, set the variable ``PROMETHEUS_MULTIPROC_DIR`` to an
empty directory, through which every process reports the metrics of all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from pyramid.config import Configurator
from pyramid.events import NewRequest, NewResponse
from pyramid.exceptions import ConfigurationError
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet.metrics import backends, known_method, time_calls
from cliquet.middlewares import require
from cliquet.state import state_of
from cliquet.transactions import will_retry
from cliquet.types import Registry, Request
from cliquet.utils import import_optional
from cliquet.utils.http import is_subrequest

prometheus_client = import_optional("prometheus_client")
multiprocess = import_optional("prometheus_client.multiprocess")

#: The label of requests without a service.
NO_SERVICE = "none"

_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

# Upper bounds of durations in seconds, from a read in memory to the timeouts of clients.
_BUCKETS = tuple(digit * 10.0**power for power in range(-4, 1) for digit in (1, 2.5, 5)) + (10.0,)


class Metrics:
    """The metrics of an application (``registry.prometheus``)."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        labels = ("service", "method", "status")
        self.requests = self._counter("requests", "Requests served.", labels)
        self.subrequests = self._counter("subrequests", "Sub-requests, as in batches.", labels)
        self.durations = self._histogram(
            "request_duration_seconds", "Duration of requests, including the commit.", labels
        )
        self.calls = self._histogram(
            "backend_call_duration_seconds",
            "Duration of calls of backend methods.",
            ("backend", "method"),
        )
        self.connections = self._gauge(
            "pool_connections", "Pooled connections, in use or idle.", ("engine", "state")
        )

    @cached_property
    def streams(self) -> Any:
        """The number of open streams, measured from the first stream on."""
        return self._gauge("live_streams", "Open streams of changes.")

    @cached_property
    def stream_delays(self) -> Any:
        """The delays of changes in streams, measured from the first stream on."""
        return self._histogram(
            "live_delay_seconds",
            "Time between the last change of a collection and its event in a stream.",
        )

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Any:
        return prometheus_client.Counter(f"cliquet_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: Sequence[str] = ()) -> Any:
        options = {"buckets": _BUCKETS, "registry": self.registry}
        return prometheus_client.Histogram(f"cliquet_{name}", text, labels, **options)

    def _gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Any:
        options = {"multiprocess_mode": "livesum", "registry": self.registry}
        return prometheus_client.Gauge(f"cliquet_{name}", text, labels, **options)

    def time_backend(self, kind: str, backend: Any) -> None:
        """Time the calls of a backend."""
        time_calls(backend, lambda name: _timer(self.calls.labels(kind, name)))

    def observe(self, request: Request, response: Response) -> None:
        """Count a response."""
        service = request.current_service
        name = NO_SERVICE if service is None else service.name
        labels = name, known_method(request), response.status_code
        if is_subrequest(request):
            self.subrequests.labels(*labels).inc()
            return
        self.requests.labels(*labels).inc()
        began = getattr(request, "prometheus_start", None)
        if began is not None:
            self.durations.labels(*labels).observe(time.perf_counter() - began)

    def observe_pools(self, registry: Registry) -> None:
        """Update the number of connections in use in this process."""
        clients = state_of(registry).shared.get("postgresql_clients", {}).values()
        if clients:
            in_use, idle = map(sum, zip(*(client.connections() for client in clients), strict=True))
            self.connections.labels("postgresql", "in_use").set(in_use)
            self.connections.labels("postgresql", "idle").set(idle)

    def collector(self) -> Any:
        """Return the registry with the metrics of all processes."""
        if _DIRECTORY not in os.environ:
            return self.registry
        registry = prometheus_client.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        return registry


def _timer(histogram: Any) -> Callable[[Any], Any]:
    """Return a timing decorator for methods; the library's is for functions only."""

    def decorate(call: Any) -> Any:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with histogram.time():
                return call(*args, **kwargs)

        return timed

    return decorate


def includeme(config: Configurator) -> None:
    """Measure the application, and add the endpoint ``/__metrics__``.

    :raises pyramid.exceptions.ConfigurationError: without the package
        ``prometheus-client``, or the directory ``PROMETHEUS_MULTIPROC_DIR``.
    """
    require(prometheus_client, "includes = cliquet.prometheus", "prometheus-client")
    directory = os.environ.get(_DIRECTORY)
    if directory is not None and not os.path.isdir(directory):
        raise ConfigurationError(f"{_DIRECTORY} = {directory!r}: expected a directory")
    registry = config.registry
    metrics = registry.prometheus = Metrics()
    for kind, backend in backends(registry):
        metrics.time_backend(kind, backend)

    def on_new_request(event: Any) -> None:
        event.request.prometheus_start = time.perf_counter()

    def on_new_response(event: Any) -> None:
        request = event.request
        if not will_retry(request):
            metrics.observe(request, event.response)
            metrics.observe_pools(registry)

    config.add_subscriber(on_new_request, NewRequest)
    config.add_subscriber(on_new_response, NewResponse)
    config.add_route("prometheus", "/__metrics__")
    config.add_view(
        get_metrics,
        route_name="prometheus",
        request_method="GET",
        permission=NO_PERMISSION_REQUIRED,
    )


def get_metrics(request: Request) -> Response:
    """Return the metrics in the format that the client requests."""
    metrics = request.registry.prometheus
    metrics.observe_pools(request.registry)
    encode, content_type = prometheus_client.exposition.choose_encoder(
        request.headers.get("Accept", "")
    )
    return Response(encode(metrics.collector()), headerlist=[("Content-Type", content_type)])

"""The metrics that a service sends to StatsD are those that the guide lists, of the same types."""

import re
import socket
from contextlib import closing

import pytest

from tests.docs.pages import rows

TYPES = {"ms": "timer", "c": "counter", "s": "set"}
PREFIX = "myproject."

LISTENER = """
from cliquet.listeners import ListenerBase


class Listener(ListenerBase):
    def __call__(self, event):
        pass


def load_from_config(config, prefix):
    return Listener()
"""

VIEWS = """
from cliquet import resource


@resource.register()
class Spore(resource.UserResource):
    pass
"""


def pattern_of(name):
    """The pattern of a name in the guide, as ``view.{service}.{METHOD}``, or ``cache.…``."""
    return re.sub(r"\\\{\w+\\\}", "[^.]+", re.escape(name)).replace("…", ".+")


def listed():
    """The pattern and the type of each name in the guide."""
    for names, type_, _ in rows("howto/monitor", "Collect metrics with StatsD"):
        for name in names.split(", "):
            yield pattern_of(name.strip("`")), type_


@pytest.fixture
def sent(serve, tmp_path, monkeypatch):
    """The names and types of what a service sends during requests."""
    tmp_path.joinpath("listener_of_metrics.py").write_text(LISTENER)
    tmp_path.joinpath("views_of_metrics.py").write_text(VIEWS)
    monkeypatch.syspath_prepend(tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        settings = {
            "statsd_url": f"udp://127.0.0.1:{statsd.getsockname()[1]}",
            "event_listeners": "ear",
            "event_listeners.ear.use": "listener_of_metrics",
        }
        client = serve("views_of_metrics", settings=settings)
        with closing(client.registry.statsd._client):
            client.post_json("/spores", {"data": {}})
            client.get("/__heartbeat__")
        yield {parsed(packet) for packet in packets(statsd)}


def packets(statsd):
    """Return the received packets. They come from this machine, so there is no need to wait."""
    statsd.setblocking(False)
    while True:
        try:
            yield statsd.recv(1024).decode()
        except BlockingIOError:
            return


def parsed(packet):
    name, _, value = packet.partition(":")
    assert name.startswith(PREFIX)
    return name.removeprefix(PREFIX), TYPES[value.partition("|")[2]]


def test_metrics_that_are_sent_are_listed(sent):
    def is_listed(name, type_):
        return any(re.fullmatch(pattern, name) and type_ == its for pattern, its in listed())

    assert {metric for metric in sent if not is_listed(*metric)} == set()


def test_metrics_that_are_listed_are_sent(sent):
    for pattern, type_ in listed():
        assert any(re.fullmatch(pattern, name) and type_ == its for name, its in sent), pattern

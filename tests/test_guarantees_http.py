"""What the backends guarantee, seen by HTTP clients of two processes of eight threads.

Both are on one database. ``benchmarks/guarantees.py`` does the same for longer.
"""

import pytest

from tests import redis_server, servers
from tests.history import History
from tests.http_servers import connecting, http_servers
from tests.scenarios import PATIENCE, SCENARIOS, Team

ENGINES = ("sqlite", "postgresql", "redis")
ROUNDS = 6
WRITES = 600


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture(scope="module")
def running(engine, tmp_path_factory):
    if engine == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('http')}/attacked.sqlite"
    elif engine == "postgresql":
        url = servers.postgresql_url()
    else:
        url = redis_server.database_url(4)
    with http_servers(engine, url) as running:
        yield running


@pytest.fixture
def connect(running):
    with connecting(running) as connect:
        yield connect


@pytest.mark.parametrize("play", SCENARIOS.values(), ids=SCENARIOS)
def test_guarantee(engine, connect, play):
    team = Team(connect, isolated=engine != "redis")
    for _ in range(ROUNDS):
        play(team)


def test_a_history_is_what_was_acknowledged(connect):
    history = History(connect, writes=WRITES)
    history.play(PATIENCE)
    assert history.acknowledged >= WRITES
    assert history.faults == {}

"""What the backends guarantee, seen by HTTP clients of two processes of eight threads.

Both are on one database. ``benchmarks/guarantees.py`` does the same for longer.
"""

import pytest

from tests.history import History
from tests.http_servers import connecting, database_url, http_servers
from tests.scenarios import PATIENCE, SCENARIOS, SETTINGS, Team

ENGINES = ("sqlite", "postgresql", "redis")
ROUNDS = 6
WRITES = 600


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture(scope="module")
def running(engine, tmp_path_factory):
    url = database_url(engine, tmp_path_factory.mktemp("http"))
    with http_servers(engine, url, **SETTINGS) as running:
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
    assert not any(history.faults.values()), history.faults

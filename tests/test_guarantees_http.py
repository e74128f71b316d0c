"""Guarantees of the backends, for HTTP clients of two processes with eight threads.

Both are on one database. ``benchmarks/guarantees.py`` does the same for longer.
"""

from functools import partial
from http.client import HTTPException

import pytest

from tests.history import PATH, History
from tests.hostile_client import new_id
from tests.http_servers import connecting, database_url, http_servers
from tests.scenarios import SCENARIOS, TIMEOUT, Team, together

ENGINES = ("sqlite", "postgresql", "redis")
ROUNDS = 4
WRITES = 300


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture(scope="module")
def running(engine, tmp_path_factory):
    url = database_url(engine, tmp_path_factory.mktemp("http"))
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


def test_history_consists_of_acknowledged_changes(connect):
    history = History(connect, writes=WRITES)
    history.play(TIMEOUT)
    assert not any(history.faults.values()), history.faults


# 8. Responses are true.


def test_a_server_that_is_killed_loses_nothing_and_others_go_on(engine, tmp_path):
    acknowledged = []

    def write(client):
        while len(acknowledged) < WRITES:
            acknowledged.append(client.create(PATH, {"n": len(acknowledged)}))
            if len(acknowledged) > WRITES / 2:
                killed.kill()

    def write_until_it_ends(client):
        with pytest.raises((OSError, HTTPException)):
            write(client)

    with (
        http_servers(engine, database_url(engine, tmp_path)) as (killed, other),
        connecting([killed, other]) as connect,
    ):
        user = new_id()
        calls = [partial(write_until_it_ends, connect(user, 0)) for _ in range(3)]
        calls += [partial(write, connect(user, 1)) for _ in range(3)]
        together(calls)
        listed = {record["id"]: record for record in connect(user, 1).walk(PATH, "")}
    assert all(listed[record["id"]] == record for record in acknowledged)

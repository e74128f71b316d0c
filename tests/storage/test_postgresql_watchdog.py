"""A PostgreSQL whose processes are stopped, while its machine responds."""

import os
import signal
import socket
import threading
import time
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from psycopg2 import OperationalError

from cliquet.drivers.postgresql import watchdog
from cliquet.drivers.postgresql.config import create_from_config
from cliquet.drivers.postgresql.transaction import Kind, Statement, Transaction
from cliquet.storage.exceptions import BackendError
from tests import postgresql_server
from tests.configuration import backend_config


@pytest.fixture(scope="module")
def server():
    with postgresql_server.private_server() as server:
        yield server


@pytest.fixture
def connect(server, monkeypatch):
    """A function of options, which returns a client."""
    monkeypatch.setattr(watchdog, "MARGIN", 0.3)
    monkeypatch.setattr(watchdog, "PERIOD", 0.05)
    clients = []

    def connect(options):
        config = backend_config({"storage_url": f"{server.url}?options={quote(options)}"})
        clients.append(create_from_config(config, "storage_"))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@contextmanager
def stopped(client):
    """Within this block the process that serves the idle connection of the client does nothing."""
    ((pid,),) = client.execute_autocommit("SELECT pg_backend_pid()")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_statement_without_response_fails_in_time(connect):
    client = connect("-c statement_timeout=200ms")
    with stopped(client):
        before = time.monotonic()
        with pytest.raises(BackendError, match="closed the connection"):
            client.execute_autocommit("SELECT 1")
        assert time.monotonic() - before >= 0.5
        # The connection isn't used again.
        assert client.execute_autocommit("SELECT 2") == [(2,)]


def test_statements_have_the_time_that_the_server_grants_each(connect):
    client = connect("-c statement_timeout=600ms")
    statements = [Statement("SELECT pg_sleep(0.4)")] * 4
    assert client.write_together(*statements) == [("",)]
    with client.grouped_writes() as run:
        assert run("SELECT pg_sleep(0.4);" * 4, None, Kind.SCRIPT) == [("",)]
    with pytest.raises(BackendError, match="statement timeout"):
        client.execute_autocommit("SELECT pg_sleep(2)")
    assert client.connections() == (0, 1)


def test_grouped_statements_have_the_time_limit_of_one(connect):
    client = connect("-c statement_timeout=200ms")
    transaction = Transaction(client._of_this_process())
    ((pid,),) = transaction.run("SELECT pg_backend_pid()")
    for _ in range(90):
        transaction.enqueue(Statement("SELECT 1", kind=Kind.SHORT))
    os.kill(pid, signal.SIGSTOP)
    try:
        before = time.monotonic()
        with pytest.raises(OperationalError, match="closed the connection"):
            transaction.commit()
        assert time.monotonic() - before < 90 * 0.2
    finally:
        os.kill(pid, signal.SIGCONT)
        transaction.rollback()


def test_a_server_that_grants_any_time_is_waited_for(connect):
    client = connect("-c lock_timeout=1s")
    waiting = threading.Thread(target=client.execute_autocommit, args=("SELECT 1",))
    with stopped(client):
        waiting.start()
        waiting.join(1)
        assert waiting.is_alive()
    waiting.join(10)
    assert not waiting.is_alive()


def test_the_thread_that_watches_ends_with_the_statements(connect):
    client = connect("-c statement_timeout=5s")
    for _ in range(2):
        client.execute_autocommit("SELECT 1")
        deadline = time.monotonic() + 10
        while any(thread.name == "watchdog" for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_connection_that_is_being_shut_down_is_left_only_afterwards():
    """Else its number could be that of another one, which would be shut down."""
    dog = watchdog.Watchdog(1)
    dog._mutex.acquire()
    leaving = threading.Thread(target=dog.leave, args=(object(),))
    leaving.start()
    leaving.join(0.1)
    assert leaving.is_alive()
    dog._mutex.release()
    leaving.join(10)
    assert not leaving.is_alive()


def test_a_connection_that_was_left_meanwhile_is_not_shut_down():
    first, second = socket.socketpair()
    with first, second:
        watchdog.Watchdog(1)._shut_down(first)
        first.send(b"open")
        assert second.recv(4) == b"open"


def test_one_of_several_concurrent_callers_starts_the_thread():
    dog = watchdog.Watchdog(1)
    before = threading.active_count()
    dog.watch("connection", 1)
    dog._wake()
    assert threading.active_count() == before + 1
    dog.leave("connection")


@pytest.mark.parametrize(
    "options, seconds",
    [
        ("-c statement_timeout=30s -c lock_timeout=20s", 30),
        ("--statement-timeout=1500", 1.5),
        ("-c statement_timeout=1s -c statement_timeout=2min", 120),
        ("-c statement_timeout=0", 0),
        ("-c statement_timeout=1x", 0),
        ("-c lock_timeout=1s", 0),
        ("", 0),
    ],
)
def test_time_limit_of_a_statement_is_that_of_the_options(options, seconds):
    assert watchdog.statement_timeout(options) == seconds

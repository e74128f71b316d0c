"""Prepared statements of PostgreSQL connections, and poolers that lose or share them."""

from decimal import Decimal

import pytest
import transaction
from pyramid.testing import DummyRequest

from cliquet import transactions
from cliquet.drivers.postgresql import prepared
from cliquet.drivers.postgresql.transaction import Kind
from cliquet.storage import postgresql
from tests import postgresql_server
from tests.configuration import backend_config

PLACE = ("articles", "alice")
PREPARED = "SELECT statement FROM pg_prepared_statements ORDER BY prepare_time"

#: Events: the statement that causes it, and whether queries remain prepared.
EVENTS = {
    "nothing": ("SELECT", True),
    "the pooler chooses another connection": ("DEALLOCATE ALL", False),
    "a table changes": ("ALTER TABLE articles ALTER title TYPE varchar", False),
}


@pytest.fixture
def client():
    """A client with its own pool of one connection."""
    settings = {"storage_url": postgresql_server.shared_url(), "storage_pool_size": "1"}
    client = postgresql.load_from_config(backend_config(settings))._client
    client.close()
    client.execute_autocommit("CREATE TABLE articles (title text)")
    client.execute_autocommit("INSERT INTO articles VALUES ('One'), ('Two'), (NULL)")
    yield client
    client.execute_autocommit("DROP TABLE articles")
    client.close()


@pytest.fixture
def find(client):
    """A function that returns the articles with some titles, by a frequent query."""

    def find(*titles):
        query = "SELECT title FROM articles WHERE title IN %s AND title <> %s"
        return client.read(query, [titles, "Three"], Kind.FREQUENT)

    return find


def statements(client):
    return [statement for (statement,) in client.execute_autocommit(PREPARED)]


def test_frequent_queries_are_prepared_once_for_each_number_of_values(client, find):
    for title in ("One", "Two", "'", "%s", "$1"):
        assert find(title) == ([(title,)] if title in ("One", "Two") else [])
    assert sorted(find("Two", "One")) == [("One",), ("Two",)]
    texts = [text.partition(" AS ")[2] for text in statements(client)]
    assert texts == [
        "SELECT title FROM articles WHERE title IN ($1) AND title <> $2",
        "SELECT title FROM articles WHERE title IN ($1, $2) AND title <> $3",
    ]


def test_other_queries_are_not_prepared(client):
    assert client.read("SELECT %s::text", ["a"]) == [("a",)]
    assert client.read("SELECT %s::text", ["a"]) == [("a",)]
    assert statements(client) == []


def test_queries_without_parameters_can_be_prepared(client):
    for _ in range(2):
        assert client.read("SELECT 1", (), Kind.FREQUENT) == [(1,)]
    assert len(statements(client)) == 1


@pytest.mark.parametrize("number", [None, 3, 3.5, 3.4, Decimal("2.6"), 2**31, 2**63, -1e300])
def test_numbers_are_compared_as_in_queries_that_are_not_prepared(client, number):
    query = "SELECT 3::bigint < %s, 3 < %s, true = %s, 'a' = %s"
    parameters = [number, number, True, "a"]
    assert client.read(query, parameters, Kind.FREQUENT) == client.read(query, parameters)


@pytest.mark.parametrize("event", EVENTS)
def test_queries_return_the_same_even_if_they_cannot_remain_prepared(client, find, event):
    sql, remains = EVENTS[event]
    assert find("One") == [("One",)]
    client.execute_autocommit(sql)
    assert find("One") == [("One",)]
    client.execute_autocommit("INSERT INTO articles VALUES ('Four')")
    assert find("Four", "Two") == [("Two",), ("Four",)]
    assert find("One") == [("One",)]
    borrowed = client._of_this_process().connect()
    assert (borrowed.dbapi_connection.prepared is not None) is remains
    borrowed.close()


def test_a_column_can_change_to_a_type_that_is_not_comparable_with_the_parameter(client):
    query = "SELECT count(*) FROM articles WHERE title = %s"
    assert client.read(query, ["One"], Kind.FREQUENT) == [(1,)]
    client.execute_autocommit("ALTER TABLE articles ALTER title TYPE bytea USING title::bytea")
    assert client.read(query, ["One"], Kind.FREQUENT) == [(1,)]


def test_a_statement_of_another_client_of_the_pooler_is_not_an_error(client, find):
    find("One")
    ((own,),) = client.execute_autocommit("SELECT name FROM pg_prepared_statements")
    client.close()
    client.execute_autocommit(f"PREPARE {own} AS SELECT 'wrong'")
    assert find("One") == find("One") == [("One",)]


def test_connections_have_a_limited_number_of_prepared_statements(client, find, monkeypatch):
    monkeypatch.setattr(prepared, "MAX_STATEMENTS", 2)
    for number in range(1, 5):
        assert find(*["One"] * number) == find(*["One"] * number) == [("One",)]
    assert len(statements(client)) == 2


def test_transactions_send_queries_as_they_are(client, find):
    """A missing statement would make the transaction fail."""
    find("One")
    client.execute_autocommit("DEALLOCATE ALL")
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    with transactions.RequestAttempt(manager, DummyRequest()):
        client.write("INSERT INTO articles VALUES ('Five')")
        assert find("Five") == [("Five",)]
        manager.commit()
    assert find("Five") == [("Five",)]

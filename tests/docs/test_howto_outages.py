"""The settings and the check of the guide, in an application that uses them."""

import psycopg2
import pytest
import requests

from tests import postgresql_server
from tests.docs.pages import block
from tests.docs.test_howto_settings import settings_of_text

PAGE = "howto/outages"
USER = "postgresql://user:password@host/db"


@pytest.fixture
def url():
    with postgresql_server.database_on(postgresql_server.shared_url()) as url:
        yield url


def test_options_of_the_url_bound_statements_and_locks(url):
    shown = settings_of_text(block(PAGE, "ini", "cliquet.storage_url"))["cliquet.storage_url"]
    assert shown.startswith(USER)
    with psycopg2.connect(url + shown.removeprefix(USER)) as connection:
        cursor = connection.cursor()
        for name, value in {"statement_timeout": "5s", "lock_timeout": "2s"}.items():
            cursor.execute(f"SHOW {name}")
            assert cursor.fetchone() == (value,)
    connection.close()


@pytest.mark.parametrize("path, well", [("__lbheartbeat__", True), ("nothing", False)])
def test_check_of_the_guide_is_one_of_the_heartbeat(serve, listen, path, well):
    client = serve()
    engine = f"http://127.0.0.1:{listen(serve().app)}/v1/{path}"
    exec(block(PAGE, "python"), {"requests": requests, "SEARCH_URL": engine, "config": client})
    response = client.get("/__heartbeat__", status=200 if well else 503)
    assert response.json["search"] is well

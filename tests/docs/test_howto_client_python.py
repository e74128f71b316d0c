"""The blocks of the Python client guide, executed in order against a service."""

import uuid

import pytest

from tests.docs.pages import DOCS, execute_page
from tests.http_servers import http_servers

PAGE = DOCS / "howto" / "client-python.rst"
SERVER, USER = '"https://api.example.com/v1"', '"alice"'


@pytest.fixture(scope="module")
def url():
    with http_servers("memory", "", processes=1) as (server,):
        yield f"{server.url}/v1"


@pytest.fixture
def reader(url):
    """The names that the blocks of the page define."""
    names = {}

    def execute(language, caption, text):
        assert language == "python"
        text = text.replace(SERVER, repr(url)).replace(USER, repr(str(uuid.uuid4())))
        exec(compile(text, str(PAGE), "exec"), names)

    execute_page(PAGE, execute)
    yield names
    names["client"].close()
    names["token_client"].close()


def test_code_of_the_guide_works(capsys, reader):
    bookmarks = reader["bookmarks"]
    assert reader["response"].status == 201
    assert reader["others"].total == 0
    assert [record["title"] for record in reader["latest"]] == ["Python"]
    assert reader["copy"] == {}
    assert bookmarks.get(reader["created"].data["id"]).data["stars"] == 3
    permissions = reader["articles"].get(reader["article"].data["id"]).permissions
    assert permissions["read"] == ["system.Everyone"]
    assert [bookmarks.get(id_).data.get("stars") for id_ in reader["ids"]] == [3, None, None]
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "https://www.python.org"
    assert shown[1].startswith("/bookmarks/") and shown[1].endswith(" 111")
    assert shown[2].startswith("data.url ")
    assert len(shown) == 3

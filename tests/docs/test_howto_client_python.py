"""The guide of the Python client, block by block, by a reader who has a service of one's own."""

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
    """What the blocks of the page have defined in the end."""
    names = {}

    def execute(language, caption, text):
        assert language == "python"
        text = text.replace(SERVER, repr(url)).replace(USER, repr(str(uuid.uuid4())))
        exec(compile(text, str(PAGE), "exec"), names)

    execute_page(PAGE, execute)
    yield names
    names["client"].close()
    names["others"].close()


def test_guide_does_what_it_tells(capsys, reader):
    bookmarks = reader["bookmarks"]
    assert reader["answer"].status == 201
    assert reader["found"].total == 0
    assert [record["title"] for record in reader["latest"]] == ["Python"]
    assert reader["copy"] == {}
    assert bookmarks.get(reader["seen"].data["id"]).data["stars"] == 3
    permissions = reader["articles"].get(reader["article"].data["id"]).permissions
    assert permissions["read"] == ["system.Everyone"]
    assert [bookmarks.get(id_).data.get("stars") for id_ in reader["ids"]] == [3, None, None]
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "https://www.python.org"
    assert shown[1].startswith("/bookmarks/") and shown[1].endswith(" 111")
    assert shown[2].startswith("data.url ")
    assert len(shown) == 3

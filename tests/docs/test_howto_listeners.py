"""The list of Redis in which the guide tells other programs of changes."""

import subprocess
import sys

import pytest
import redis

from tests import redis_server
from tests.docs.correspondence import Correspondence
from tests.docs.pages import block
from tests.docs.test_howto_settings import settings_of_text
from tests.processes import START_TIMEOUT

PAGE = "howto/listeners"
LIST = "articles"
ARTICLES = """
import colander
from cliquet import resource


class ArticleSchema(resource.ResourceSchema):
    title = colander.SchemaNode(colander.String())


@resource.register()
class Article(resource.UserResource):
    mapping = ArticleSchema()
"""


@pytest.fixture
def url():
    """That of an empty database of Redis."""
    url = redis_server.database_url(4)
    with redis.Redis.from_url(url) as client:
        client.delete(LIST)
        yield url
        client.delete(LIST)


@pytest.fixture
def change_article(serve, url, tmp_path, monkeypatch):
    """A function that creates an article, and changes its title."""
    tmp_path.joinpath("articles_of_the_test.py").write_text(ARTICLES)
    monkeypatch.syspath_prepend(tmp_path)
    settings = settings_of_text(block(PAGE, "ini"))
    server_url = "cliquet.event_listeners.queue.server_url"
    assert settings[server_url] == "redis://localhost:6379/0"
    client = serve("articles_of_the_test", settings={**settings, server_url: url})

    def change_article():
        article = client.post_json("/articles", {"data": {"title": "Old"}}).json["data"]
        client.patch_json(f"/articles/{article['id']}", {"data": {"title": "New"}})

    return change_article


def test_event_of_the_guide_is_what_is_pushed(change_article, url):
    change_article()
    with redis.Redis.from_url(url) as client:
        newest = client.lindex(LIST, 0).decode()
    Correspondence().compare(block(PAGE, "json"), newest)


def test_program_of_the_guide_prints_the_changes_in_their_order(change_article, url):
    code = block(PAGE, "python").replace("redis.Redis()", f"redis.Redis.from_url({url!r})")
    change_article()
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, text=True
    ) as program:
        try:
            lines = [program.stdout.readline() for _ in range(2)]
        finally:
            program.kill()
            program.wait(START_TIMEOUT)
    assert lines[0].startswith("create {") and "'title': 'Old'" in lines[0]
    assert lines[1].startswith("update {") and "'title': 'New'" in lines[1]

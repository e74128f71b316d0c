"""The Redis list from which other programs read changes in the guide."""

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
LIST = "tasks"
TASKS = """
import colander
from cliquet import resource


class TaskSchema(resource.ResourceSchema):
    title = colander.SchemaNode(colander.String())
    done = colander.SchemaNode(colander.Boolean(), missing=False)


@resource.register()
class Task(resource.UserResource):
    mapping = TaskSchema()
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
def change_task(serve, url, tmp_path, monkeypatch):
    """A function that creates a task, and changes its title."""
    tmp_path.joinpath("tasks_of_the_test.py").write_text(TASKS)
    monkeypatch.syspath_prepend(tmp_path)
    settings = settings_of_text(block(PAGE, "ini"))
    server_url = "cliquet.event_listeners.queue.server_url"
    assert settings[server_url] == "redis://localhost:6379/0"
    client = serve("tasks_of_the_test", settings={**settings, server_url: url})

    def change_task():
        task = client.post_json("/tasks", {"data": {"title": "Old"}}).json["data"]
        client.patch_json(f"/tasks/{task['id']}", {"data": {"title": "New"}})

    return change_task


def test_pushed_event_equals_that_of_the_guide(change_task, url):
    change_task()
    with redis.Redis.from_url(url) as client:
        newest = client.lindex(LIST, 0).decode()
    Correspondence().compare(block(PAGE, "json"), newest)


def test_program_of_the_guide_prints_the_changes_in_their_order(change_task, url):
    code = block(PAGE, "python").replace("redis.Redis()", f"redis.Redis.from_url({url!r})")
    change_task()
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

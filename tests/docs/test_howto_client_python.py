"""The Python client guide: its blocks, executed in order against the service that it shows."""

import code
import subprocess
import sys

import pytest

from cliquet.client import Client
from tests.docs.pages import DOCS, block, execute_page
from tests.processes import START_TIMEOUT, end_with_parent, free_port

PAGE = "howto/client-python"
PORT = ":8888"


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Port of the service that the guide shows."""
    port = free_port()
    path = tmp_path_factory.mktemp("guide") / "service.py"
    path.write_text(block(PAGE, "python", "import cliquet\n").replace(PORT, f":{port}"))
    command = [sys.executable, "-W", "ignore", path]
    with subprocess.Popen(command, preexec_fn=end_with_parent()) as process:
        try:
            with Client(f"http://127.0.0.1:{port}/v1", timeout=START_TIMEOUT, retries=99) as client:
                client.server_info()
            yield port
        finally:
            process.kill()


class Prompt(code.InteractiveConsole):
    """The prompt of Python, which raises the errors that it would print."""

    def write(self, data):
        raise AssertionError(data)


@pytest.fixture
def reader(port, monkeypatch):
    """The names that the blocks of the page define, entered at the prompt of Python."""
    monkeypatch.setattr(sys, "displayhook", lambda value: None)
    names = {}
    prompt = Prompt(names)

    def execute(language, caption, text):
        if language == "python" and caption != "service.py":
            for line in [*text.replace(PORT, f":{port}").splitlines(), ""]:
                prompt.push(line)

    execute_page(DOCS / f"{PAGE}.rst", execute)
    yield names
    names["client"].close()
    names["token_client"].close()


def test_code_of_the_guide_works(capsys, reader):
    bookmarks = reader["bookmarks"]
    assert reader["response"].status == 201
    assert reader["others"].total == 0
    assert [record["title"] for record in reader["latest"]] == ["Python"]
    assert reader["copy"] == {}
    assert reader["local"].verified
    changed = bookmarks.get(reader["created"].data["id"]).data
    assert (changed["stars"], changed["title"]) == (3, "IETF")
    permissions = reader["articles"].get(reader["article"].data["id"]).permissions
    assert permissions["read"] == ["system.Everyone"]
    assert [bookmark["url"] for bookmark in bookmarks.list(stars=0, _sort="url")] == [
        "https://docs.python.org",
        "https://example.com/2",
        "https://peps.python.org",
    ]
    *first, path, second, third = capsys.readouterr().out.splitlines()
    assert first == ["https://www.python.org", "No other bookmarks", "Documentation"]
    assert path.startswith("/bookmarks/") and path.endswith(" 111")
    assert (second, third) == ("PEPs", "107 data.url")

"""The examples of the command, run in their order in an empty folder.

The service that they make is in the folder ``/srv`` of the page.
"""

import pytest
from pyramid.config import Configurator

from cliquet.storage import sqlite
from tests.docs.console import Console
from tests.docs.pages import DOCS, execute_page

OLD = 1_500_000_000_000  # milliseconds
#: Tombstones by resource: their number, and the number of parents.
BURIED = {"note": (5, 2), "task": (31, 12)}


def bury(folder):
    """Let the storage of the service have the tombstones that the page purges."""
    url = f"sqlite:///{folder}/myservice.sqlite"
    storage = sqlite.load_from_config(Configurator(settings={"storage_url": url}))
    for resource, (tombstones, parents) in BURIED.items():
        for number in range(tombstones):
            place = (resource, f"user{number % parents}", str(number))
            storage.create(*place[:2], {"id": place[2], "last_modified": OLD + number})
            storage.delete(*place, last_modified=OLD + tombstones + number)


@pytest.fixture
def console(terminal):
    return Console(terminal, {"/srv": str(terminal.folder)})


def test_examples_of_the_command_show_its_output(console):
    executed = []

    def execute(language, caption, text):
        executed.append(text)
        if "purge-deleted" in text:
            bury(console.terminal.folder)
        return console.problem(text)

    execute_page(DOCS / "reference" / "command.rst", execute)
    assert executed

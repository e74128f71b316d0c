"""The option ``--records`` of the command ``check``."""

import colander
import pytest

from cliquet.resource import ResourceSchema
from cliquet.scripts import records
from cliquet.scripts.cliquet import main
from cliquet.storage import StorageBase
from cliquet.storage.memory import Storage
from tests.scripts import myapp
from tests.scripts.myapp import ALL_IN_MEMORY, SETTINGS


class NoteSchema(ResourceSchema):
    title = colander.SchemaNode(colander.String())
    size = colander.SchemaNode(colander.Integer(), missing=colander.drop)

    def validator(self, node, note):
        if note["title"] == "odd":
            raise colander.Invalid(node, "Odd title")
        if note["title"] == "broken":
            raise KeyError("title")


@pytest.fixture(autouse=True)
def schema(monkeypatch):
    monkeypatch.setattr(myapp.PrivateNote, "mapping", NoteSchema())
    monkeypatch.setattr(records, "_PAGE", 2)


@pytest.fixture
def check(engine, write_ini, settings_of, capsys):
    """A function that runs the command, and returns the lines of both outputs."""
    ini = write_ini(settings_of(engine), factory="application_with_resources")

    def check(name, code=0):
        assert main(["--ini", ini, "check", "--records", name]) == code
        output = capsys.readouterr()
        return output.out.splitlines(), output.err.splitlines()

    return check


def test_records_that_the_schema_refuses_are_listed(storage, check):
    for number in range(5):
        storage.create("privatenote", "alice", {"id": f"good{number}", "title": "x"})
    storage.create("privatenote", "bob", {"id": "a"})
    storage.create("privatenote", "bob", {"id": "b", "title": "x", "size": "large"})
    storage.create("privatenote", "", {"id": "c", "size": [1]})
    storage.create("privatenote", "bob", {"id": "d", "title": "odd"})
    storage.create("privatenote", "bob", {"id": "e", "title": "broken"})
    storage.create("privatenote", "bob", {"id": "f\n", "size": 1})
    storage.create("bookmark", "bob", {"id": "g"})
    lines, errors = check("note", code=1)
    assert lines == [
        "c  -  data.title  Required",
        'c  -  data.size  "[1]" is not a number',
        "a  bob  data.title  Required",
        'b  bob  data.size  "large" is not a number',
        "d  bob  data  Odd title",
        "e  bob  data  KeyError: 'title'",
        "f\\n  bob  data.title  Required",
    ]
    assert errors == ["cliquet: error: 6 of 11 records don't fit the schema of note"]


def test_valid_records_are_counted(storage, check):
    for number in range(4):
        storage.create("privatenote", "alice", {"title": str(number)})
    storage.delete_all("privatenote", "alice", [])
    storage.create("privatenote", "alice", {"title": "x"})
    lines, errors = check("privatenote")
    assert lines == ["0 of 1 records don't fit the schema of privatenote"]
    assert errors == []


def test_check_of_records_needs_a_storage_and_a_resource(write_ini, explanation, monkeypatch):
    arguments = ["check", "--records", "note"]
    assert main(["--ini", write_ini(), *arguments]) == 1
    assert explanation() == "No storage backend. Set storage_backend."
    ini = write_ini(SETTINGS + ALL_IN_MEMORY)
    assert main(["--ini", ini, *arguments]) == 2
    assert explanation() == "Unknown resource 'note': expected one of none"
    monkeypatch.setattr(Storage, "_known_collections", StorageBase._known_collections)
    ini = write_ini(SETTINGS + ALL_IN_MEMORY, factory="application_with_resources")
    assert main(["--ini", ini, *arguments]) == 1
    assert explanation() == "cliquet.storage.memory does not implement get_parents()"

"""The command ``purge-deleted``."""

from argparse import ArgumentTypeError
from datetime import UTC, datetime
from importlib import import_module

import pytest
from pyramid.config import Configurator

from cliquet.scripts import cli_output, purge
from cliquet.scripts.cliquet import main
from cliquet.scripts.purge import parse_cutoff
from cliquet.storage import Deleted, StorageBase
from cliquet.storage.memory import Storage
from cliquet.utils import msec_time
from tests.scripts.conftest import URLS
from tests.scripts.myapp import ALL_IN_MEMORY, SETTINGS

HOUR = 3600 * 1000
OLD = 1_500_000_000_000


@pytest.fixture
def purge_deleted(engine, write_ini, settings_of, capsys):
    """A function that runs the command, and returns its lines but the first."""
    ini = write_ini(settings_of(engine), factory="application_with_resources")

    def purge_deleted(*arguments, code=0):
        assert main(["--ini", ini, "purge-deleted", *arguments]) == code
        return capsys.readouterr().out.splitlines()[1:]

    return purge_deleted


def bury(storage, collection_id, parent_id, *timestamps):
    """Let the collection have tombstones of these times, and a record."""
    for timestamp in timestamps:
        record = {"id": str(timestamp), "last_modified": timestamp - 10**6}
        storage.create(collection_id, parent_id, record)
        storage.delete(collection_id, parent_id, str(timestamp), last_modified=timestamp)
    storage.create(collection_id, parent_id, {"id": "alive"})


def left(storage, collection_id, parent_id):
    records, _ = storage.get_all(collection_id, parent_id, include_deleted=True)
    return {record["id"] for record in records}


def test_old_tombstones_are_purged_of_every_parent_and_resource(storage, purge_deleted):
    recent = msec_time() - HOUR
    bury(storage, "bookmark", "alice", OLD, OLD + 1, recent)
    bury(storage, "bookmark", "bob", OLD)
    bury(storage, "of no resource", "bob", OLD)
    bury(storage, "privatenote", "bob", recent)
    before = storage.collection_timestamp("bookmark", "alice")
    counts = ["bookmark: 3 tombstones (parents: 2)", "of no resource: 1 tombstone (parents: 1)"]
    assert purge_deleted("--before", "2h", "--dry-run") == [*counts, "4 tombstones would be purged"]
    assert len(storage.count_deleted()) == 4
    assert purge_deleted("--before", "2h") == [*counts, "4 tombstones purged"]
    assert left(storage, "bookmark", "alice") == {str(recent), "alive"}
    assert left(storage, "bookmark", "bob") == {"alive"}
    assert left(storage, "of no resource", "bob") == {"alive"}
    assert left(storage, "privatenote", "bob") == {str(recent), "alive"}
    assert storage.collection_timestamp("bookmark", "alice") == before
    assert purge_deleted("--before", "2h") == ["0 tombstones purged"]


@pytest.mark.parametrize("name", ["note", "privatenote"])
def test_one_resource_is_named_by_its_name_or_that_of_its_class(storage, purge_deleted, name):
    bury(storage, "bookmark", "alice", OLD)
    bury(storage, "privatenote", "alice", OLD)
    lines = purge_deleted("--before", "2020-01-01", "--resource", name)
    assert lines == ["privatenote: 1 tombstone (parents: 1)", "1 tombstone purged"]
    assert left(storage, "bookmark", "alice") == {str(OLD), "alive"}


def test_former_resource_has_the_name_of_its_collection(storage, purge_deleted):
    bury(storage, "forgotten", "alice", OLD)
    assert purge_deleted("--before", str(OLD + 1), "--resource", "forgotten")[-1].startswith("1 ")


def test_purge_runs_in_batches(storage, purge_deleted, monkeypatch):
    limits = []
    purged = type(storage).purge_deleted

    def noted(self, *args, limit=None, **kwargs):
        limits.append(limit)
        return purged(self, *args, limit=limit, **kwargs)

    monkeypatch.setattr(type(storage), "purge_deleted", noted)
    monkeypatch.setattr(purge, "BATCH", 2)
    bury(storage, "bookmark", "alice", *range(OLD, OLD + 5))
    assert purge_deleted("--before", "1d")[0] == "bookmark: 5 tombstones (parents: 1)"
    assert limits == [2, 2, 2]


def test_progress_is_printed_in_lines_to_the_standard_error(
    write_ini, settings_of, tmp_path, monkeypatch, capsys
):
    config = Configurator(settings={"storage_url": URLS["sqlite"](tmp_path)})
    storage = import_module("cliquet.storage.sqlite").load_from_config(config)
    storage.initialize_schema()
    bury(storage, "bookmark", "alice", *range(OLD, OLD + 3))
    monkeypatch.setattr(purge, "BATCH", 2)
    monkeypatch.setattr(cli_output, "_PAUSE", 0)
    ini = write_ini(settings_of("sqlite"))
    assert main(["--ini", ini, "purge-deleted", "--before", "1d"]) == 0
    assert capsys.readouterr().err.splitlines() == ["bookmark: 2 of 3", "bookmark: 3 of 3"]


def test_purge_time_is_printed(write_ini, capsys):
    ini = write_ini(SETTINGS + ALL_IN_MEMORY)
    assert main(["--ini", ini, "purge-deleted", "--before", "2026-01-31T12:30+02:00"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "Tombstones older than 2026-01-31 10:30:00+00:00:"


def test_unknown_resource_is_an_error_that_lists_the_others(write_ini, explanation):
    ini = write_ini(SETTINGS + ALL_IN_MEMORY, factory="application_with_resources")
    arguments = ["purge-deleted", "--before", "1d", "--resource", "bookmrak"]
    assert main(["--ini", ini, *arguments]) == 2
    assert (
        explanation() == "Unknown resource 'bookmrak': expected one of bookmark, note, privatenote"
    )


def test_purge_needs_a_storage(write_ini, explanation):
    assert main(["--ini", write_ini(), "purge-deleted", "--before", "1d"]) == 1
    assert explanation() == "No storage backend. Set storage_backend."


def test_read_only_service_is_not_purged(write_ini, explanation, capsys):
    ini = write_ini(SETTINGS + ALL_IN_MEMORY + "cliquet.readonly = true\n")
    assert main(["--ini", ini, "purge-deleted", "--before", "1d"]) == 1
    assert explanation() == "The service is read-only. Set readonly to false or use --dry-run."
    assert main(["--ini", ini, "purge-deleted", "--before", "1d", "--dry-run"]) == 0


def test_storage_that_cannot_count_is_reported(write_ini, explanation, monkeypatch):
    monkeypatch.setattr(Storage, "_count_deleted", StorageBase._count_deleted)
    ini = write_ini(SETTINGS + ALL_IN_MEMORY)
    assert main(["--ini", ini, "purge-deleted", "--before", "1d"]) == 1
    assert explanation() == "cliquet.storage.memory does not implement count_deleted()"


def test_interruption_keeps_earlier_purges(write_ini, explanation, monkeypatch, capsys):
    calls = []

    def purge_deleted(self, collection_id, parent_id, **kwargs):
        calls.append(parent_id)
        if parent_id == "bob":
            raise KeyboardInterrupt
        return 1

    counts = [Deleted("bookmark", "alice", 1), Deleted("bookmark", "bob", 1)]
    monkeypatch.setattr(Storage, "count_deleted", lambda self, before: counts)
    monkeypatch.setattr(Storage, "purge_deleted", purge_deleted)
    ini = write_ini(SETTINGS + ALL_IN_MEMORY)
    assert main(["--ini", ini, "purge-deleted", "--before", "1d"]) == 130
    assert calls == ["alice", "bob"]
    assert capsys.readouterr().err == "cliquet: interrupted\n"


@pytest.mark.parametrize(
    ("text", "hours"), [("0h", 0), ("12h", 12), ("30d", 30 * 24), ("2w", 14 * 24)]
)
def test_an_age_is_counted_from_now(text, hours):
    assert abs(msec_time() - hours * HOUR - parse_cutoff(text)) < 60_000


def test_age_before_the_first_timestamp_is_valid():
    assert parse_cutoff("999999w") == 0


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("20260131", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T10:00:00Z", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31T10:00:00+02:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_date_is_utc_without_a_zone(text, date):
    assert parse_cutoff(text) == date.timestamp() * 1000


def test_a_timestamp_is_taken_as_it_is():
    assert parse_cutoff("1500000000001") == 1500000000001


@pytest.mark.parametrize("text", ["", "30", "30 d", "-1d", "d", "30m", "2026-13-01", "٣d", "1.5d"])
def test_invalid_age_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="expected an age such as 12h, 30d or 2w"):
        parse_cutoff(text)


@pytest.mark.parametrize("text", ["9999-12-31", "253402300799999"])
def test_future_time_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="in the future"):
        parse_cutoff(text)


@pytest.mark.parametrize("arguments", [[], ["--before", "30"]])
def test_age_is_required(arguments, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["purge-deleted", *arguments])
    assert raised.value.code == 2
    assert "--before" in capsys.readouterr().err

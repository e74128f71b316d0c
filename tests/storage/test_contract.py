"""The contract of the storage backends on every engine, and tests of the base class."""

import copy
import functools

import pytest

from cliquet.storage.exceptions import (
    BackendError,
    IntegrityError,
    UnicityError,
)
from cliquet.testing.contracts import StorageContract
from tests.configuration import backend_config

PLACE = ("articles", "alice")


class TestContract(StorageContract):
    """Run the contract on each engine, with the fixtures of ``conftest.py``."""


def test_stored_records_are_visible_to_other_applications_on_the_database(
    engine, storage, make_storage
):
    if engine == "memory":
        pytest.skip("memory is not shared")
    created = storage.create(*PLACE, {"n": 1})
    assert make_storage().get_all(*PLACE) == ([created], 1)


def test_applications_do_not_share_memory():
    memory = pytest.importorskip("cliquet.storage.memory")
    first, second = (memory.load_from_config(backend_config({})) for _ in range(2))
    first.create(*PLACE, {})
    assert second.get_all(*PLACE) == ([], 0)


def test_backend_error_contains_the_message_of_the_driver():
    original = OSError("no route")
    assert str(BackendError(original)) == "OSError: no route"
    assert BackendError(original).original is original
    assert str(BackendError(original, "down")) == str(BackendError(message="down")) == "down"


@pytest.mark.parametrize(
    ("error", "field", "message"),
    [
        (UnicityError("title", {"id": "a"}), "title", "title is not unique: {'id': 'a'}"),
        (UnicityError("id", {}, "other"), "id", "id is not unique: {}"),
    ],
)
def test_conflict_is_not_a_backend_error(error, field, message):
    assert isinstance(error, IntegrityError)
    assert not isinstance(error, BackendError)
    assert (error.field, error.msg) == (field, message)
    assert str(error) in ("", "other")


@pytest.mark.parametrize("make", [BackendError, functools.partial(UnicityError, "title", {})])
def test_exceptions_refuse_keywords_that_they_do_not_know(make):
    with pytest.raises(TypeError, match="takes no keyword arguments"):
        make(zork=1)


def test_a_failure_has_the_arguments_it_was_raised_with():
    assert BackendError(ValueError("x"), "m", "more").args == ("m", "more")
    assert IntegrityError("a", "b").args == ("a", "b")


def test_overridden_bump_timestamp_chooses_the_timestamps(storage):
    class Mine(type(storage)):
        def _bump_timestamp(self, collection_id, parent_id, record, modified_field, last_modified):
            return 5 if last_modified is None else last_modified

    mine = copy.copy(storage)
    mine.__class__ = Mine
    assert mine.create(*PLACE, {"id": "a"})["last_modified"] == 5
    assert mine.update(*PLACE, "a", {"last_modified": 9})["last_modified"] == 9

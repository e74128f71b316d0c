"""The contract of the caches accepts a simple cache, and refuses broken ones."""

import math
import time

import pytest

from cliquet.cache import CacheBase
from cliquet.testing.contracts import CacheContract
from tests.refusals import check_refusal


class SimpleCache(CacheBase):
    """A cache in a dictionary of values, each with the time of its end."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.entries = {}

    def initialize_schema(self):
        pass

    def flush(self):
        self.entries = {}

    def _find(self, key):
        entry = self.entries.get(key)
        return entry if entry is not None and entry[1] > time.monotonic() else None

    def _read(self, key):
        entry = self._find(key)
        return entry and entry[0]

    def _write(self, key, value, ttl):
        self.entries[key] = (value, math.inf if ttl is None else time.monotonic() + ttl)

    def _ttl(self, key):
        entry = self._find(key)
        return entry[1] - time.monotonic() if entry and entry[1] < math.inf else None

    def _expire(self, key, ttl):
        entry = self._find(key)
        if entry:
            self._write(key, entry[0], ttl)

    def _delete(self, key):
        self.entries.pop(key, None)


class TestContract(CacheContract):
    @pytest.fixture
    def make_cache(self):
        return SimpleCache

    @pytest.fixture
    def cache(self):
        return SimpleCache()


class Broken(SimpleCache):
    """Base class of the broken variants; ``refused_by`` names a test of the contract."""

    refused_by: str


class NeverExpires(Broken):
    refused_by = "test_expired_entry_is_never_returned"

    def _find(self, key):
        return self.entries.get(key)


class IgnoresTTL(Broken):
    refused_by = "test_ttl_is_in_seconds_with_fractions"

    def _write(self, key, value, ttl):
        super()._write(key, value, None)


class CountsMilliseconds(Broken):
    refused_by = "test_ttl_is_in_seconds_with_fractions"

    def _write(self, key, value, ttl):
        super()._write(key, value, ttl and ttl / 1000)


class CountsWholeSeconds(Broken):
    refused_by = "test_expired_entry_is_never_returned"

    def _write(self, key, value, ttl):
        super()._write(key, value, ttl and math.ceil(ttl))


class CountsAtMostAnHour(Broken):
    refused_by = "test_ttl_can_be_long"

    def _write(self, key, value, ttl):
        super()._write(key, value, ttl and min(ttl, 3600))


class KeepsThePreviousTTL(Broken):
    refused_by = "test_set_without_ttl_removes_the_previous_ttl"

    def _write(self, key, value, ttl):
        super()._write(key, value, self._ttl(key) if ttl is None else ttl)


class KeepsEntriesWithoutTTL(Broken):
    refused_by = "test_entry_without_remaining_ttl_is_deleted"

    def set(self, key, value, ttl=None):
        super().set(key, value, None if ttl is not None and ttl <= 0 else ttl)


class ExpiresNothing(Broken):
    refused_by = "test_expire_sets_the_ttl_and_keeps_the_value"

    def _expire(self, key, ttl):
        pass


class RestoresExpiredEntries(Broken):
    refused_by = "test_expire_does_not_restore_missing_or_expired_entries"

    def _expire(self, key, ttl):
        if key in self.entries:
            self._write(key, self.entries[key][0], ttl)


class CreatesMissingEntries(Broken):
    refused_by = "test_expire_does_not_restore_missing_or_expired_entries"

    def _expire(self, key, ttl):
        self._write(key, self._read(key) or b"0", ttl)


class ReturnsPositiveTTLOfMissingEntries(Broken):
    refused_by = "test_ttl_is_negative_without_entry_or_expiry"

    def ttl(self, key):
        return max(0, super().ttl(key))


class ReplacesNothing(Broken):
    refused_by = "test_value_replaces_the_previous_one"

    def _write(self, key, value, ttl):
        self.entries.setdefault(key, (value, math.inf))


class DeletesNothing(Broken):
    refused_by = "test_deleted_key_is_missing_and_can_be_deleted_again"

    def _delete(self, key):
        pass


class FailsToDeleteMissingEntries(Broken):
    refused_by = "test_deleted_key_is_missing_and_can_be_deleted_again"

    def _delete(self, key):
        del self.entries[key]


class FlushesNothing(Broken):
    refused_by = "test_flush_deletes_every_entry"

    def flush(self):
        pass


class ForgetsOnInitialization(Broken):
    refused_by = "test_initializing_the_schema_again_keeps_the_entries"

    def initialize_schema(self):
        self.flush()


class IgnoresCase(Broken):
    refused_by = "test_special_characters_in_keys_are_literal"

    def _key(self, key):
        return super()._key(key.strip().lower())


class ReplacesSurrogates(Broken):
    refused_by = "test_keys_with_surrogates_are_distinct"

    def _key(self, key):
        return f"{self.prefix}{key}".encode("utf-8", "replace")


class TruncatesKeysAtNull(Broken):
    refused_by = "test_special_characters_in_keys_are_literal"

    def _key(self, key):
        return super()._key(key).partition(b"\0")[0]


class SharesValues(Broken):
    refused_by = "test_mutating_a_stored_or_returned_value_has_no_effect"

    def set(self, key, value, ttl=None):
        self.entries[key] = value

    def get(self, key):
        return self.entries.get(key)


class StoresAnyObject(Broken):
    refused_by = "test_values_that_are_not_json_are_refused_without_effect"

    def set(self, key, value, ttl=None):
        try:
            super().set(key, value, ttl)
        except ValueError:
            super().set(key, None, ttl)


class ForgetsBeforeItRefuses(Broken):
    refused_by = "test_values_that_are_not_json_are_refused_without_effect"

    def set(self, key, value, ttl=None):
        self.delete(key)
        super().set(key, value, ttl)


@pytest.mark.parametrize("broken", Broken.__subclasses__(), ids=lambda cls: cls.__name__)
def test_contract_refuses(broken):
    check_refusal(CacheContract, broken)


class IgnoresThePrefix(SimpleCache):
    def _key(self, key):
        return key.encode("utf-8", "surrogatepass")


def test_contract_refuses_a_cache_without_prefix():
    with pytest.raises(AssertionError):
        CacheContract().test_prefix_setting_is_prepended_to_every_key(IgnoresThePrefix)

"""Contract of the cache backends."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliquet.cache import CacheBase
from cliquet.testing.contracts.samples import in_threads, on_one_backend

SOON = 0.05


LATER = 0.1


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**60), max_value=10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


class CacheContract:
    """Tests of a cache backend.

    They require two fixtures: ``cache``, an empty backend, and ``make_cache``, a function that
    takes settings as keyword arguments and returns a backend.
    """

    @on_one_backend
    @given(value=VALUES)
    def test_stored_value_is_returned(self, cache: CacheBase, value: Any) -> None:
        cache.set("key", value)
        cached = cache.get("key")
        assert cached == value
        assert repr(cached) == repr(value)  # types too

    @on_one_backend
    @given(keys=st.sets(st.text(st.characters(), max_size=8), max_size=6))
    def test_any_string_is_a_distinct_key(self, cache: CacheBase, keys: set[str]) -> None:
        cache.flush()
        for number, key in enumerate(keys):
            cache.set(key, number)
        assert [cache.get(key) for key in keys] == list(range(len(keys)))

    @pytest.mark.parametrize(
        "key",
        [
            *("", " ", "%", "_", "*", "'; DROP TABLE cache; --", "a\0b", "\ud800", "é", "e\u0301"),
            *("💥", "A", " a", "a ", "other2"),
        ],
    )
    def test_special_characters_in_keys_are_literal(self, cache: CacheBase, key: str) -> None:
        cache.set("other", 1)
        cache.set("a", 1)
        assert cache.get(key) is None
        cache.set(key, {"mine": True})
        assert cache.get(key) == {"mine": True}
        cache.delete(key)
        assert cache.get(key) is None
        assert cache.get("other") == cache.get("a") == 1

    def test_keys_with_surrogates_are_distinct(self, cache: CacheBase) -> None:
        for key in ("\ud800", "\udc00", "?", "\ud83d\ude00", "\U0001f600"):
            assert cache.get(key) is None
            cache.set(key, key == "?")

    def test_missing_key_returns_none(self, cache: CacheBase) -> None:
        assert cache.get("unknown") is None

    def test_value_replaces_the_previous_one(self, cache: CacheBase) -> None:
        cache.set("key", "first")
        cache.set("key", "second")
        assert cache.get("key") == "second"

    def test_deleted_key_is_missing_and_can_be_deleted_again(self, cache: CacheBase) -> None:
        cache.set("key", "value")
        cache.delete("key")
        cache.delete("key")
        assert cache.get("key") is None

    def test_flush_deletes_every_entry(self, cache: CacheBase) -> None:
        cache.set("one", 1)
        cache.set("two", 2, ttl=60)
        cache.flush()
        assert cache.get("one") is cache.get("two") is None

    def test_initializing_the_schema_again_keeps_the_entries(self, cache: CacheBase) -> None:
        cache.set("key", "value")
        cache.initialize_schema()
        assert not cache.pending_migrations()
        assert cache.get("key") == "value"

    def test_mutating_a_stored_or_returned_value_has_no_effect(self, cache: CacheBase) -> None:
        value = {"list": [1]}
        cache.set("key", value)
        value["list"].append(2)
        cache.get("key")["list"].append(3)
        assert cache.get("key") == {"list": [1]}

    def test_tuples_are_returned_as_lists(self, cache: CacheBase) -> None:
        cache.set("key", (1, (2,)))
        assert cache.get("key") == [1, [2]]

    @pytest.mark.parametrize(
        "value",
        [
            object(),
            {1, 2},
            b"bytes",
            math.nan,
            [math.inf],
            {"deep": [{1: "a number as key"}]},
            ({None: 1},),
            "\udc00",
            {"\udc00": 1},
            nested(1500),
            nested(500_000),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_values_that_are_not_json_are_refused_without_effect(
        self, cache: CacheBase, value: Any
    ) -> None:
        cache.set("key", "before", ttl=60)
        with pytest.raises(ValueError, match="cannot be cached as JSON"):
            cache.set("key", value)
        assert cache.get("key") == "before"
        assert cache.ttl("key") > 0

    @pytest.mark.parametrize("depth", [100, 300, 600, 900])
    def test_deeply_nested_value_is_returned_or_refused(self, cache: CacheBase, depth: int) -> None:
        value: Any = None
        for _ in range(depth):
            value = {"deeper": value}
        try:
            cache.set("key", value)
        except ValueError:
            assert depth > 100
        else:
            assert cache.get("key") == value

    def test_values_that_could_not_be_read_back_are_refused(self, cache: CacheBase) -> None:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(10_000)
        try:
            with pytest.raises(ValueError, match="cannot be cached as JSON"):
                cache.set("key", nested(1500))
        finally:
            sys.setrecursionlimit(limit)

    # Times to live

    def test_expired_entry_is_never_returned(self, cache: CacheBase) -> None:
        cache.set("key", "value", ttl=SOON)
        time.sleep(LATER)
        assert cache.get("key") is None
        assert cache.ttl("key") < 0

    def test_ttl_is_in_seconds_with_fractions(self, cache: CacheBase) -> None:
        cache.set("key", "value", ttl=1.5)
        assert 1 < cache.ttl("key") <= 1.5

    @pytest.mark.parametrize("ttl", [3600, 86_400 * 365, 1e300, math.inf])
    def test_ttl_can_be_long(self, cache: CacheBase, ttl: float) -> None:
        cache.set("key", "value", ttl=ttl)
        assert cache.get("key") == "value"
        assert cache.ttl("key") == pytest.approx(min(ttl, 36525 * 86_400), abs=5)

    def test_ttl_can_be_a_number_in_a_string(self, cache: CacheBase) -> None:
        cache.set("key", "value", ttl=cast(float, "30"))
        assert 25 < cache.ttl("key") <= 30

    @pytest.mark.parametrize("ttl", [math.nan, "soon"])
    def test_invalid_ttl_is_refused_without_effect(self, cache: CacheBase, ttl: float) -> None:
        cache.set("key", "before")
        with pytest.raises(ValueError):
            cache.set("key", "after", ttl=ttl)
        with pytest.raises(ValueError):
            cache.expire("key", ttl)
        assert cache.get("key") == "before"
        assert cache.ttl("key") < 0

    @pytest.mark.parametrize("ttl", [0, -1, -math.inf])
    def test_entry_without_remaining_ttl_is_deleted(self, cache: CacheBase, ttl: float) -> None:
        cache.set("set", "before")
        cache.set("set", "after", ttl=ttl)
        assert cache.get("set") is None
        cache.set("expired", "before")
        cache.expire("expired", ttl)
        assert cache.get("expired") is None

    def test_ttl_is_negative_without_entry_or_expiry(self, cache: CacheBase) -> None:
        cache.set("key", "value")
        assert cache.ttl("key") < 0
        assert cache.ttl("unknown") < 0

    def test_set_without_ttl_removes_the_previous_ttl(self, cache: CacheBase) -> None:
        cache.set("key", "first", ttl=SOON)
        cache.set("key", "second")
        assert cache.ttl("key") < 0
        time.sleep(LATER)
        assert cache.get("key") == "second"

    def test_set_with_ttl_replaces_the_previous_ttl(self, cache: CacheBase) -> None:
        cache.set("key", "first", ttl=SOON)
        cache.set("key", "second", ttl=60)
        assert cache.ttl("key") > 50

    def test_expire_sets_the_ttl_and_keeps_the_value(self, cache: CacheBase) -> None:
        cache.set("key", "value")
        cache.expire("key", 60)
        assert 50 < cache.ttl("key") <= 60
        assert cache.get("key") == "value"
        cache.expire("key", SOON)
        time.sleep(LATER)
        assert cache.get("key") is None

    def test_expire_does_not_restore_missing_or_expired_entries(self, cache: CacheBase) -> None:
        cache.expire("unknown", 60)
        assert cache.get("unknown") is None
        cache.set("key", "value", ttl=SOON)
        time.sleep(LATER)
        cache.expire("key", 60)
        assert cache.get("key") is None
        assert cache.ttl("key") < 0

    def test_expired_key_can_be_set_again(self, cache: CacheBase) -> None:
        cache.set("key", "first", ttl=SOON)
        time.sleep(LATER)
        cache.set("key", "second")
        assert cache.get("key") == "second"

    # The prefix

    def test_prefix_setting_is_prepended_to_every_key(
        self, make_cache: Callable[..., CacheBase]
    ) -> None:
        cache = make_cache(cache_prefix="one:")
        cache.set("key", "mine")
        assert cache.get("key") == "mine"
        cache.prefix = "two:"
        cache.expire("key", 0.0001)
        cache.delete("key")
        assert cache.get("key") is None
        cache.prefix = ""
        assert cache.get("one:key") == "mine"
        assert cache.ttl("one:key") < 0

    # Threads

    def test_threads_can_use_the_cache_concurrently(self, cache: CacheBase) -> None:
        def work(name: str) -> None:
            for number in range(30):
                cache.set(name, number)
                cache.set("shared", [name] * 50, ttl=60)
                assert cache.get(name) == number
                assert len(set(cache.get("shared"))) == 1

        in_threads(*(partial(work, str(n)) for n in range(6)))

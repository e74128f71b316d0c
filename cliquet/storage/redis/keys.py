"""Redis keys of a collection, and digests of the values of unique fields."""

from __future__ import annotations

import hashlib

from cliquet.drivers.redis.client import decode, encode
from cliquet.storage.operations import Collection
from cliquet.storage.ordering import order_key

#: Prefix of all keys of the storage.
PREFIX = b"cliquet.storage."

#: Prefix of the keys of the collections' timestamps.
TIMESTAMPS = PREFIX + b"timestamp:"

#: The key of the timestamp of collections that were never written.
EPOCH = PREFIX + b"epoch"

#: Its value if the key is missing, because ``cliquet migrate`` was not run: May 2014.
BEGINNING = 1_400_000_000_000

#: Prefix of the keys of locks.
LOCKS = PREFIX + b"lock:"

#: Prefix of the keys of tombstones.
TOMBSTONES = PREFIX + b"tombstones:"

#: The kinds of keys, in the order of ``KEYS`` in the scripts.
_KINDS = (
    TIMESTAMPS,
    PREFIX + b"records:",
    PREFIX + b"times:",
    TOMBSTONES,
    LOCKS,
    PREFIX + b"unique.fields:",
    PREFIX + b"unique.digests:",
    PREFIX + b"unique.same:",
    PREFIX + b"unique.unknown:",
    PREFIX + b"checksum:",
)

_DIGEST_SIZE = 16


def _name(collection: Collection) -> bytes:
    parent_id, collection_id = map(encode, collection)
    # The lengths make names unambiguous, so that no name is a prefix of another one.
    return b"%d:%d:%b:%b:" % (len(parent_id), len(collection_id), parent_id, collection_id)


def collection_of(name: bytes) -> Collection:
    """Return the collection in a key from which the prefix was removed."""
    parent_length, collection_length, ids = name.split(b":", 2)
    middle, end = int(parent_length), int(parent_length) + 1 + int(collection_length)
    return decode(ids[:middle]), decode(ids[middle + 1 : end])


def keys(collection: Collection) -> list[bytes]:
    """Return the keys of a collection for the scripts."""
    name = _name(collection)
    return [*(kind + name for kind in _KINDS), EPOCH]


def lock_key(collection: Collection) -> bytes:
    """Return the key of the lock of a collection."""
    return LOCKS + _name(collection)


def digest(value: object) -> bytes:
    """Return a digest that is equal for values that conflict in a unique field.

    Return an empty digest for values that are exempt from uniqueness.
    """
    if value is None or value == "":
        return b""
    rank, key = order_key(value)
    if isinstance(key, float) and key.is_integer():
        key = int(key)  # 2.0 equals 2
    raw = encode(f"{rank}:{key}")
    return hashlib.blake2b(raw, digest_size=_DIGEST_SIZE).hexdigest().encode("ascii")

"""Generators of record ids (setting ``id_generator``)."""

from __future__ import annotations

import os
import re

from pyramid.config import Configurator

# The random bits of a UUID, and those of its version and variant (RFC 9562, 5.4).
_RANDOM_BITS, _VERSION_4 = 0xFFFFFFFFFFFF0FFF3FFFFFFFFFFFFFFF, 0x40008000000000000000


class Generator:
    """Base class of the generators.

    A subclass sets :attr:`regexp`, which entire ids must match, and creates
    ids in ``__call__``.

    :param config: the Pyramid configurator of the application, or None.
    """

    regexp = r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$"

    def __init__(self, config: Configurator = None) -> None:
        if type(self).__call__ is Generator.__call__:
            raise NotImplementedError(f"{type(self).__name__} does not create ids")
        self.config = config
        self._regexp = re.compile(self.regexp)

    def match(self, record_id: str) -> bool:
        """Return whether ``record_id`` has the format of this generator."""
        match = self._regexp.match(record_id)
        # ``$`` also matches before a trailing line feed.
        return match is not None and not record_id.endswith("\n")

    def __call__(self) -> str:
        """Return a new id."""
        raise NotImplementedError


class UUID4(Generator):
    """Random UUIDs (RFC 9562, version 4); clients can choose UUIDs of any version.

    Ids have 36 characters, in lower case.
    """

    regexp = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

    def __call__(self) -> str:
        # The class uuid.UUID takes three times as long.
        text = (int.from_bytes(os.urandom(16)) & _RANDOM_BITS | _VERSION_4).to_bytes(16).hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

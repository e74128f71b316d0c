"""Contracts of the backends, as tests that any backend can run.

Each contract is a class of tests for pytest. Subclass it in a test module, and define its fixtures.
"""

from __future__ import annotations

import pkgutil

import pytest

_MODULES = (module.name for module in pkgutil.iter_modules(__path__))
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _MODULES))

from cliquet.testing.contracts.cache import CacheContract  # noqa: E402
from cliquet.testing.contracts.permission import PermissionContract  # noqa: E402
from cliquet.testing.contracts.storage import StorageContract  # noqa: E402

__all__ = ["CacheContract", "PermissionContract", "StorageContract"]

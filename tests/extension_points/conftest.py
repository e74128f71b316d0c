"""Assertions outside test modules that explain their failures too."""

import pytest

pytest.register_assert_rewrite("tests.extension_points.requests")

"""The same service by hand on Pyramid: the limit of the other benchmarks, with its storage."""

from __future__ import annotations

import os
from typing import Any

from benchmarks import limit, limit_postgresql, toolkit
from benchmarks.engines import backends


def app() -> Any:
    """Return the WSGI application, on the tables of the toolkit."""
    url = os.environ["PEERS_URL"]
    toolkit.make_app(backends("postgresql", url))
    return limit.make_app(limit_postgresql.Store(limit_postgresql.Pool(url)), toolkit.SECRET)

"""Parsing of SQLite URLs such as ``sqlite:///file``."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

#: How many seconds a writer waits for other writers: longer than any healthy queue of
#: writers, and no longer than the usual timeout of a proxy.
DEFAULT_TIMEOUT = 30.0

_LONGEST_TIMEOUT = 86400.0


def parse_url(url: str) -> tuple[str, float]:
    """Return the path in an ``sqlite:`` URL, and the timeout in seconds.

    :raises ValueError: if the URL is invalid; its message is the expected form.
    """
    expected = "sqlite:///relative/path or sqlite:////absolute/path"
    try:
        parts = urlsplit(url)
        if parts.scheme != "sqlite":
            raise ValueError(url)
        path = unquote(parts.path)[1:]
        if path in ("", ":memory:"):
            expected += " (to keep nothing on disk, use the memory backend)"
        else:
            expected += ", and ?timeout=SECONDS if needed"
        return _file(parts, path), _timeout(parts.query)
    except ValueError:
        raise ValueError(expected) from None


def _file(parts: SplitResult, path: str) -> str:
    if parts.netloc or parts.fragment or "\0" in path or path in ("", ":memory:"):
        raise ValueError(path)
    return path


def _timeout(query: str) -> float:
    options = parse_qs(query, keep_blank_values=True, strict_parsing=True) if query else {}
    timeout = float(options.pop("timeout", [str(DEFAULT_TIMEOUT)])[-1])
    if options or not 0 < timeout <= _LONGEST_TIMEOUT:
        raise ValueError(query)
    return timeout

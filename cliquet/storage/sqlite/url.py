"""Which file a setting like ``storage_url = sqlite:///file`` names."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pyramid.exceptions import ConfigurationError

#: How long a writer waits for the others, in seconds: longer than any queue of
#: writers that is not stuck, and no longer than the usual timeout of a proxy.
DEFAULT_TIMEOUT = 30.0

_LONGEST_TIMEOUT = 86400.0


def parse_url(key: str, url: str) -> tuple[str, float]:
    """Return the path and the timeout, in seconds, that an ``sqlite:`` URL tells.

    :param key: the setting that it comes from, for the error.
    :raises pyramid.exceptions.ConfigurationError: when it isn't one.
    """
    expected = "expected sqlite:///relative/path or sqlite:////absolute/path"
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
        raise ConfigurationError(f"{key} = {_without_password(url)!r}: {expected}") from None


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


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    scheme, separator, credentials = head.partition("://")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user}:***@{tail}" if at and colon else url

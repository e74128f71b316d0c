"""Format of Server-Sent Events (HTML, section 9.2)."""

from __future__ import annotations


def event(name: str, data: str, id_: str | None = None, retry: str | None = None) -> bytes:
    """Return an event.

    :param retry: seconds before the client connects again.
    """
    lines = [f"event: {name}"]
    if id_ is not None:
        lines.append(f"id: {id_}")
    if retry is not None and retry.isdecimal():
        lines.append(f"retry: {int(retry) * 1000}")
    lines.extend(f"data: {line}" for line in data.splitlines())
    return "\n".join([*lines, "", ""]).encode()

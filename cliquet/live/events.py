"""Format of Server-Sent Events (HTML, section 9.2)."""

from __future__ import annotations

import random
import re

# Unlike splitlines(), without U+2028 and other characters that JSON strings can contain.
_END_OF_LINE = re.compile("\r\n|\r|\n")


def event(name: str, data: str, id_: str | None = None, retry: str | None = None) -> bytes:
    """Return an event.

    :param retry: minimum number of seconds before the client reconnects. The event adds up to half
        of it, so that clients whose streams ended together don't reconnect together.
    """
    lines = [f"event: {name}"]
    if id_ is not None:
        lines.append(f"id: {id_}")
    if retry is not None and retry.isdecimal():
        lines.append(f"retry: {random.randint(int(retry) * 1000, int(retry) * 1500)}")
    lines.extend(f"data: {line}" for line in _END_OF_LINE.split(data))
    return "\n".join([*lines, "", ""]).encode()

"""Comparison of the output that a page shows with the actual output.

Values that vary must have the same form on both sides. In addition, ids, users and timestamps must
correspond one to one, and timestamps must be in the same order. So a page shows plausible values,
and its commands use those of earlier responses.

JSON values are compared regardless of line breaks; the order of their keys counts. A line of three
dots stands for any lines, and several spaces equal one.
"""

import json
import re

_VOLATILE = re.compile(
    r"""
    (?P<id>\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b
      | (?<="id":\ ")[a-z2-7]{16}(?="))
    | (?P<user>\b[0-9a-f]{64}\b)
    | (?P<request>\b[0-9a-f]{32}\b)
    | (?P<timestamp>\b1\d{12}\b)
    | (?P<token>(?<=_token=)[\w%-]+)
    | (?P<date>\b[A-Z][a-z]{2},\ \d\d\ [A-Z][a-z]{2}\ \d{4}\ \d\d:\d\d:\d\d\ GMT\b)
    | (?P<time>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[,.]\d+|\ ?[+-]\d{4})?)
    | (?P<duration>\b\d+(?:\.\d+)?\ ?(?:ms|s)\b)
    | (?P<process>(?<=PID\ )\d+|(?<=pid:\ )\d+|(?<=\()\d+(?=\)$)|(?<=\[)\d+(?=\]\ \[))
    | (?P<program>\b(?:curl|HTTPie|gunicorn)/?\ ?\d+\.[\d.]*\d\b)
    """,
    re.VERBOSE | re.MULTILINE,
)
_CORRESPONDING = ("id", "user", "timestamp", "token")

#: The line that stands for any lines.
ANYTHING = "..."


class Mismatch(Exception):
    """The actual output differs from that of the page."""


class Correspondence:
    """Actual values for the variable values on pages."""

    def __init__(self):
        self._meant = {}

    def meant(self, text):
        """Return a text of the page with the values that are known so far.

        What isn't known is of the page's own choice, and stands for itself.
        """
        return _VOLATILE.sub(
            lambda match: self._meant.setdefault((match.lastgroup, match[0]), match[0]), text
        )

    def compare(self, shown, actual):
        """Compare what a page shows with what one gets.

        :raises Mismatch: with both.
        """
        for shown_line, actual_line in list(_aligned(_lines(shown), _lines(actual))):
            for one, other in zip(
                _VOLATILE.finditer(shown_line), _VOLATILE.finditer(actual_line), strict=True
            ):
                if one.lastgroup in _CORRESPONDING:
                    self._note(one.lastgroup, one[0], other[0])
        self._check_order()

    def _note(self, kind, shown, actual):
        known = self._meant.setdefault((kind, shown), actual)
        if known != actual:
            raise Mismatch(f"{shown} was {known} before, it is {actual} now")
        others = {each for (_, each), value in self._meant.items() if value == actual} - {shown}
        if others:
            raise Mismatch(f"{shown} should be {others.pop()}, as before")

    def _check_order(self):
        times = [(one, other) for (kind, one), other in self._meant.items() if kind == "timestamp"]
        if [actual for _, actual in sorted(times)] != sorted(actual for _, actual in times):
            raise Mismatch(f"timestamps are in another order: {sorted(times)}")


def _lines(text):
    """Return the lines of a text, each in one form; if it ends in JSON, that is in one form too."""
    text = text.replace("\r", "").strip("\n")
    start = re.search(r"^[{\[]", text, re.MULTILINE)
    if start:
        try:
            value = json.loads(text[start.start() :])
        except ValueError:
            pass
        else:
            pretty = json.dumps(value, indent=2, ensure_ascii=False)
            text = text[: start.start()] + pretty
    return [" ".join(line.split()) for line in text.splitlines()]


def _shape(line):
    return _VOLATILE.sub(lambda match: f"<{match.lastgroup}>", line)


def _aligned(shown, actual):
    """Yield the lines that correspond.

    :raises Mismatch: where there are others.
    """
    position, anything = 0, False
    for line in shown:
        if line == ANYTHING:
            anything = True
            continue
        shapes = [_shape(each) for each in actual[position:]]
        skipped = shapes.index(_shape(line)) if _shape(line) in shapes else None
        if skipped is None or (skipped and not anything):
            raise _mismatch(shown, actual, line)
        yield line, actual[position + skipped]
        position, anything = position + skipped + 1, False
    if position < len(actual) and not anything:
        raise _mismatch(shown, actual, "the end")


def _mismatch(shown, actual, line):
    return Mismatch("\n".join(["the page shows", *shown, "", "this is", *actual, "", f"at {line}"]))

"""Escapes of characters that databases can't store, and ranges of ordered indexes."""

from hypothesis import example, given
from hypothesis import strategies as st

from cliquet.drivers.escaping import escape, unescape
from cliquet.utils.text import after_prefix

TEXTS = st.text("a\0\x1a\ud7ff\ud800\udfff\ue000\U0010ffff0", max_size=5) | st.text(
    st.characters(), max_size=5
)


@given(text=TEXTS)
@example("\x1a0000")
def test_escaped_text_comes_back(text):
    assert unescape(escape(text)) == text


@given(text=TEXTS)
def test_escaped_text_can_be_kept_by_databases(text):
    escape(text).encode("utf-8")
    assert "\0" not in escape(text)


def test_usual_text_is_not_changed():
    assert escape("/é/%_💥\n") == "/é/%_💥\n"


@given(first=TEXTS, second=TEXTS)
def test_escaping_keeps_the_beginnings(first, second):
    assert escape(first + second) == escape(first) + escape(second)


@given(prefix=TEXTS.map(escape), rest=TEXTS.map(escape), other=TEXTS.map(escape))
@example("\U0010ffff", "a", "b")
@example("a\ud7ff", "", "a\ue000")
def test_strings_with_a_prefix_are_one_range(prefix, rest, other):
    end = after_prefix(prefix)
    for text in (prefix + rest, other):
        assert text.startswith(prefix) == (prefix <= text and (end is None or text < end))

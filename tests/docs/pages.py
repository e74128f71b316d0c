"""Pages: their blocks of code, each given to what executes it, and their tables."""

import re
from pathlib import Path

from sybil import Document
from sybil.parsers.rest.lexers import DirectiveLexer

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


class CodeBlocks:
    """A parser for Sybil: each ``code-block`` is an example.

    :param execute: a function of the language, the caption or ``""``, and the text; it returns
        what is wrong, or None.
    :param with_files: each ``literalinclude`` is an example too.
    """

    def __init__(self, execute, with_files=False):
        self._lex = DirectiveLexer("code-block|literalinclude" if with_files else "code-block")
        self._execute = execute

    def __call__(self, document):
        for region in self._lex(document):
            region.evaluator = self._evaluate
            yield region

    def _evaluate(self, example):
        lexemes = example.region.lexemes
        caption = lexemes["options"].get("caption", "")
        if lexemes["directive"] == "literalinclude":
            file = Path(example.path).parent / lexemes["arguments"]
            language = lexemes["options"].get("language", "python")
            return self._execute(language, caption, file.read_text(encoding="utf-8"))
        return self._execute(lexemes["arguments"], caption, lexemes["source"].rstrip() + "\n")


def execute_page(path, execute, with_files=False):
    """Execute the blocks of a page in their order, and the included files on request.

    :raises sybil.example.SybilFailure: with the first failure and its line.
    """
    for example in Document.parse(str(path), CodeBlocks(execute, with_files)).examples():
        example.evaluate()


def blocks(page):
    """Return the language, the caption and the text of each block of a page, without executing it.

    :param page: its path below the folder of the documentation, without suffix.
    """
    result = []
    execute_page(DOCS / f"{page}.rst", lambda *block: result.append(block))
    return result


def block(page, language, beginning=""):
    """Return the text of the one block of a page that is in a language and begins so."""
    (text,) = (
        text for each, _, text in blocks(page) if each == language and text.startswith(beginning)
    )
    return text


def rows(page, heading=None):
    """The rows of the tables of a page, or of one of its sections: a list of texts for each."""
    text = DOCS.joinpath(f"{page}.rst").read_text()
    if heading:
        text = re.search(rf"^{heading}\n-+\n(.*?)(?=^[^\n]+\n---|\Z)", text, re.M | re.S)[1]
    cells = [re.split(r"^ +- ", row, flags=re.M) for row in re.split(r"^ +\* - ", text, flags=re.M)]
    return [[" ".join(cell.split()).strip("`") for cell in row] for row in cells[1:]]

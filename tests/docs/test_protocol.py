"""The exchanges of the reference of the protocol, sent to the service that it shows.

Its blocks are used in order:

- a file, whose name is the caption: the module of the service, or its settings;
- ``http``: a request, and then the response to it. Headers that a response doesn't show aren't
  looked at; all else is compared as :mod:`tests.docs.correspondence` says;
- ``ini`` without a caption: further settings, of the service that handles the next request.
"""

from configparser import ConfigParser

import pytest
from pyramid.config import Configurator
from webob import Request

import cliquet
from tests.docs.correspondence import Correspondence, Mismatch
from tests.docs.pages import DOCS, execute_page


def settings_of(text):
    """The settings that a part of a configuration has."""
    parser = ConfigParser(delimiters=("=",))
    parser.read_string(f"[app:main]\n{text}")
    return dict(parser["app:main"])


def parsed(text):
    """Return the first line of a message, its headers, and its body."""
    head, _, body = text.partition("\n\n")
    first, *headers = head.splitlines()
    return first, dict(line.split(": ", 1) for line in headers), body.strip()


def sent(text, app):
    """Send a request; return the response."""
    first, headers, body = parsed(text)
    method, url, _ = first.split(" ")
    request = Request.blank(url, method=method, headers=headers, body=body.encode())
    return request.get_response(app)


def seen(response, names):
    """The text of a response, with these headers of it alone."""
    headers = [f"{name}: {response.headers[name]}" for name in names if name in response.headers]
    return "\n".join([f"HTTP/1.1 {response.status}", *headers, "", response.text])


class Conversation:
    """A client, and the service of the page.

    :param folder: for its files.
    """

    def __init__(self, folder):
        self._folder = folder
        url = f"sqlite:///{folder}/service.sqlite"
        self._settings = {
            f"cliquet.{kind}_{key}": value
            for kind in ("storage", "permission", "cache")
            for key, value in (("backend", f"cliquet.{kind}.sqlite"), ("url", url))
        }
        self._module = None
        self._next_settings = {}
        self._answer = None
        self._correspondence = Correspondence()

    def execute(self, language, caption, text):
        """Use a block; return what is wrong, or None."""
        if language == "http" and text.startswith("HTTP/"):
            return self._compare(text)
        if language == "http":
            app = self._make_app()
            self._answer = sent(self._correspondence.meant(text), app)
        elif language == "ini" and caption:
            self._settings.update(settings_of(text))
        elif language == "ini":
            self._next_settings = settings_of(text)
        elif language == "python" and caption:
            self._folder.joinpath(caption).write_text(text)
            self._module = caption.removesuffix(".py")
        else:
            return f"nothing uses a block of {language}, with the caption {caption!r}"

    def _compare(self, shown):
        _, names, _ = parsed(shown)
        try:
            self._correspondence.compare(shown, seen(self._answer, names))
        except Mismatch as mismatch:
            return str(mismatch)

    def _make_app(self):
        config = Configurator(settings={**self._settings, **self._next_settings})
        self._next_settings = {}
        cliquet.initialize(config, version="1.0")
        config.scan(self._module)
        app = config.make_wsgi_app()
        for kind in ("storage", "permission", "cache"):
            if config.get_settings()[f"{kind}_backend"].endswith("sqlite"):
                getattr(app.registry, kind).initialize_schema()
        return app


@pytest.fixture
def conversation(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return Conversation(tmp_path)


def test_exchanges_of_the_protocol_are_those_that_take_place(conversation):
    execute_page(DOCS / "reference" / "protocol.rst", conversation.execute)


def test_table_of_operators_is_generated():
    page = (DOCS / "reference" / "protocol.rst").read_text(encoding="utf-8")
    assert "\n.. operators::\n" in page

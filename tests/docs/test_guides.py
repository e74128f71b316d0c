"""The commands of guides, run against the service that the guide makes; their output compared."""

import pytest

from tests.docs.console import Console
from tests.docs.pages import DOCS, execute_page

#: The modules of each guide, and the file of its settings.
SERVICES = {
    "custom-backend": ((), "custom-backend.ini"),
    "id-generator": (("bookmarks_resource",), "id-generator.ini"),
    "nested": (("folders",), None),
    "permissions": (("wiki",), "permissions.ini"),
    "relations": (("library",), None),
    "search": (("bookmarks_resource",), "search.ini"),
}


@pytest.fixture
def settings(settings_of, tmp_path):
    """A function of the name of a file, which returns settings that do without ``/var``."""

    def settings(name):
        found = settings_of(name) if name else {}
        places = ("/var/lib/service", str(tmp_path))
        return {key: value.replace(*places) for key, value in found.items()}

    return settings


@pytest.mark.parametrize("page", SERVICES)
def test_commands_of_a_guide_print_what_it_shows(page, serve, settings, listen, terminal):
    modules, file = SERVICES[page]
    port = listen(serve(*modules, settings=settings(file)).app)
    console = Console(terminal, {":8888": f":{port}"})
    executed = []

    def execute(language, caption, text):
        if language == "console":
            executed.append(text)
            return console.problem(text)

    execute_page(DOCS / "howto" / f"{page}.rst", execute)
    assert executed

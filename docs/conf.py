"""The configuration of Sphinx."""

from importlib.metadata import version as version_of

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from cliquet.settings import SETTINGS, Setting

project = "Cliquet"
version = release = version_of("cliquet")

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build", "howto/examples"]
nitpicky = True
# Names of others, and of a type variable, in signatures: there is nothing here to link them to.
nitpick_ignore_regex = [("py:.*", r"(?!cliquet\b).*|cliquet\.client\.resources\.Result")]

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True

html_theme = "furo"
html_show_copyright = False
html_title = f"Cliquet {release}"


def described(setting: Setting) -> str:
    """A setting as Sphinx describes a configuration value; an empty default is left out."""
    default = setting.default
    if isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, tuple | list):
        default = " ".join(default)
    return "\n".join(
        [
            f".. confval:: {setting.key}",
            f"    :type: {setting.type.expected}",
            *([] if default in (None, "") else [f"    :default: ``{default}``"]),
            "",
            f"    {setting.description}",
            "",
        ]
    )


class SettingsDirective(SphinxDirective):
    """The settings, from the table that the package itself reads: none is forgotten."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(map(described, SETTINGS)))


def setup(app: Sphinx) -> None:
    app.add_directive("settings", SettingsDirective)

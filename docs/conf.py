"""The configuration of Sphinx."""

from importlib.metadata import version as version_of

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from cliquet.settings.table import GROUPS
from cliquet.settings.types import Setting
from cliquet.storage.operators import OPERATORS

project = "Cliquet"
version = release = version_of("cliquet")

extensions = ["sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build", "howto/examples"]
nitpicky = True
# Names in signatures that have no page here: those of other packages, and internal types.
nitpick_ignore_regex = [
    ("py:.*", r"(?!cliquet\b).*"),
    ("py:.*", r"cliquet\.client\.(resources\.Result|base\.Session|base\.Sleep)|cliquet\.types\..*"),
    ("py:.*", r"cliquet\.client\.messages\.ServerFeatures"),
    ("py:.*", r"cliquet\.transactions\.[EM]"),  # type variables
    ("py:class", r"cliquet\.resource\.Registration"),
]

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True

html_theme = "furo"
html_show_copyright = False
html_title = f"Cliquet {release}"
html_static_path = ["_static"]
html_css_files = ["style.css"]

# Copy the commands of console blocks, without prompts and output.
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"


#: The settings that 3.1 didn't have.
ADDED_IN_3_2 = {
    *("version_json_path", "openapi_enabled", "heartbeat_timeout_seconds", "inherit_permissions"),
    *("error_details", "retry.attempts", "batch_max_bytes", "batch_timeout_seconds"),
    *("max_body_bytes", "max_record_bytes", "max_values", "max_nesting", "max_digits"),
    *("max_filters", "max_filter_values", "max_sort_fields", "max_selected_fields"),
    *("max_page_bytes", "live_interval_seconds", "live_permissions_seconds"),
}


def described(setting: Setting) -> str:
    """Return a setting as Sphinx describes a configuration value, without an empty default."""
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
            *(["    .. versionadded:: 3.2", ""] if setting.key in ADDED_IN_3_2 else []),
            *(
                [f"    Example: ``{setting.key} = {setting.example}``", ""]
                if setting.example
                else []
            ),
        ]
    )


class SettingsDirective(SphinxDirective):
    """The settings of a group of the package's own table, which is the argument."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(map(described, GROUPS[self.arguments[0]])))


class OperatorsDirective(SphinxDirective):
    """The table of filter operators."""

    def run(self) -> list[nodes.Node]:
        lines = [".. list-table::", "    :widths: 30 70", ""]
        for operator in OPERATORS.values():
            meaning = operator.meaning.replace("`", "``")
            lines += [f"    * - ``{operator.parameter('field')}={operator.example}``"]
            lines += [f"      - The field {meaning}."]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> None:
    app.add_directive("operators", OperatorsDirective)
    app.add_directive("settings", SettingsDirective)

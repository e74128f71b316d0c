"""The configuration of Sphinx."""

from importlib.metadata import version as version_of

project = "Cliquet"
version = release = version_of("cliquet")

extensions: list[str] = []
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"Cliquet {release}"

"""Origin of the installed package (PEP 610)."""

from __future__ import annotations

import json
import shlex
from functools import cache
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

NAME = "cliquet"


@cache
def origin() -> dict[str, Any]:
    """Return the contents of ``direct_url.json``: empty if an index provided the package."""
    # In the folder of a checkout, its .egg-info, which has no such file, comes first.
    files = (each.read_text("direct_url.json") for each in distributions(name=NAME))
    text = next(filter(None, files), "{}")
    contents: dict[str, Any] = json.loads(text)
    return contents


def requirement(extra: str = "") -> str:
    """Return the requirement (PEP 508) that installs this copy elsewhere.

    It contains the Git URL, or the URL of the file or folder, that this copy was installed from.
    Otherwise it contains the version, because the index that provided it isn't known.

    :param extra: the name of an extra of the distribution.
    """
    name = f"{NAME}[{extra}]" if extra else NAME
    source = origin()
    if not source:
        return f"{name}=={version(NAME)}"
    url = source["url"]
    if "vcs_info" in source:
        vcs = source["vcs_info"]
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    if "subdirectory" in source:
        url += f"#subdirectory={source['subdirectory']}"
    return f"{name} @ {url}"


def local_path() -> Path | None:
    """Return the path of the file or folder that this copy was installed from, if it was one."""
    source = origin()
    parts = urlsplit(source.get("url", ""))
    is_local = parts.scheme == "file" and "vcs_info" not in source
    return Path(unquote(parts.path)) if is_local else None


def install_command(extra: str) -> str:
    """Return the shell command that adds an extra to this copy."""
    path = local_path()
    if path is not None and origin().get("dir_info", {}).get("editable"):
        return f"pip install -e {shlex.quote(f'{path}[{extra}]')}"
    return f"pip install {shlex.quote(requirement(extra))}"

"""Information about the deployed version: ``GET /__version__``."""

from __future__ import annotations

from pyramid.config import Configurator
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet.http.service import Service
from cliquet.settings.types import JSON_FILE
from cliquet.views import descriptions


def add_version_view(config: Configurator) -> None:
    """Add the view if the setting ``version_json_path`` names a file to return.

    The file is read once, at start-up, because it describes the running process.
    """
    path = config.get_settings()["version_json_path"]
    if not path:
        return
    content = JSON_FILE.parse(path)
    version = Service(name="__version__", path="/__version__", description="Deployed version")
    version.add_view(
        "GET",
        lambda request: content,
        permission=NO_PERMISSION_REQUIRED,
        openapi=descriptions.VERSION,
    )
    config.add_cornice_service(version)

"""A service in a folder, as readers have theirs: a module, and its configuration."""

MODULE = "service_of_the_test"

APPLICATION = """
import cliquet
from cliquet import resource, schema
from pyramid.config import Configurator


class BookmarkSchema(resource.ResourceSchema):
    url = schema.URL()


@resource.register()
class Bookmark(resource.UserResource):
    mapping = BookmarkSchema()


def main(global_config, **settings):
    config = Configurator(settings=settings)
    cliquet.initialize(config, version="1.0")
    config.scan(__name__)
    return cliquet.install_middlewares(config.make_wsgi_app(), settings)
"""

KINDS = ("storage", "permission", "cache")

_SETTINGS = """
[app:main]
use = call:{module}:main
cliquet.project_name = bookmarks
cliquet.userid_hmac_secret = secret
"""


def write(
    folder,
    name,
    engine="sqlite",
    url="sqlite:///%(here)s/service.sqlite",
    more="",
    code=APPLICATION,
):
    """Write the module, and a file of settings; return the path of the latter.

    :param more: settings, and then sections, to add to the file.
    :param code: code of the module.
    """
    folder.joinpath(f"{MODULE}.py").write_text(code)
    settings = [_SETTINGS.format(module=MODULE)]
    for kind in KINDS:
        settings.append(f"cliquet.{kind}_backend = cliquet.{kind}.{engine}\n")
        settings.append(f"cliquet.{kind}_url = {url}\n")
    path = folder / name
    path.write_text("".join([*settings, more]))
    return path


def create_schemas(serve, folder):
    """Create the SQLite schemas of :func:`write` in this process.

    :param serve: the fixture.
    """
    settings = {}
    for kind in KINDS:
        settings[f"cliquet.{kind}_backend"] = f"cliquet.{kind}.sqlite"
        settings[f"cliquet.{kind}_url"] = f"sqlite:///{folder}/service.sqlite"
    registry = serve(settings=settings).registry
    for kind in KINDS:
        getattr(registry, kind).initialize_schema()

"""Applications that the configuration files of the tests name."""

import time
from pathlib import Path

from pyramid.config import Configurator
from pyramid.security import NO_PERMISSION_REQUIRED

import cliquet
from cliquet import resource

SETTINGS = """
    cliquet.project_name = myapp
    cliquet.project_version = 1.0
    cliquet.userid_hmac_secret = secret
"""

ALL_IN_MEMORY = """
    cliquet.storage_backend = cliquet.storage.memory
    cliquet.permission_backend = cliquet.permission.memory
    cliquet.cache_backend = cliquet.cache.memory
"""


@resource.register()
class Bookmark(resource.UserResource):
    pass


@resource.register(name="note")
class PrivateNote(resource.UserResource):
    pass


def application(global_config, **settings):
    config = Configurator(settings=settings)
    cliquet.initialize(config)
    return cliquet.install_middlewares(config.make_wsgi_app(), settings)


def application_with_resources(global_config, **settings):
    config = Configurator(settings=settings)
    cliquet.initialize(config)
    config.scan("tests.scripts.myapp")
    return config.make_wsgi_app()


def slow_application(global_config, **settings):
    """Takes a second to respond, once it has created the file of the header ``X-File``."""

    def slow(request):
        Path(request.headers["X-File"]).touch()
        time.sleep(1)
        return {"slow": True}

    config = Configurator(settings=settings)
    config.add_route("slow", "/slow")
    config.add_view(slow, route_name="slow", renderer="json", permission=NO_PERMISSION_REQUIRED)
    cliquet.initialize(config)
    return config.make_wsgi_app()


def broken_application(global_config, **settings):
    raise KeyError(settings["what"])


def application_with_six(global_config=None, **settings):
    raise ModuleNotFoundError("No module named 'six'", name="six")


def application_with_deferred_six(global_config, **settings):
    config = Configurator(settings=settings)
    config.action(None, application_with_six)
    return config.make_wsgi_app()


def application_with_action(global_config, **settings):
    def fail():
        raise ValueError("no such view")

    config = Configurator(settings=settings)
    config.action(None, fail)
    return config.make_wsgi_app()

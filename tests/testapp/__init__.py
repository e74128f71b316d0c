"""A small real application, by the public API alone."""

import colander
from pyramid import httpexceptions
from pyramid.config import Configurator
from pyramid.security import NO_PERMISSION_REQUIRED

import cliquet
from cliquet import resource
from cliquet.resource.schema import URL, ResourceSchema
from cliquet.storage.exceptions import BackendError, IntegrityError, UnicityError

SETTINGS = {
    "cliquet.project_name": "testapp",
    "cliquet.project_docs": "https://docs.example/",
    "cliquet.userid_hmac_secret": "secret",
    "cliquet.psilo_create_principals": "system.Authenticated",
    **{
        f"cliquet.{kind}_backend": f"cliquet.{kind}.memory"
        for kind in ("storage", "permission", "cache")
    },
}


class MushroomSchema(ResourceSchema):
    name = colander.SchemaNode(colander.String())
    size = colander.SchemaNode(colander.Float(), missing=0)


@resource.register()
class Mushroom(resource.UserResource):
    mapping = MushroomSchema()


class FreeSchema(ResourceSchema):
    class Options:
        preserve_unknown = True


@resource.register()
class Spore(resource.UserResource):
    mapping = FreeSchema()


@resource.register()
class Psilo(resource.ShareableResource):
    mapping = FreeSchema()


class ToadstoolSchema(ResourceSchema):
    url = URL()
    device = colander.SchemaNode(colander.String(), missing="")

    class Options:
        unique_fields = ("url",)
        readonly_fields = ("device",)


@resource.register()
class Toadstool(resource.UserResource):
    mapping = ToadstoolSchema()


# Made anew each time: responses are built from some.
ERRORS = {
    "bug": lambda: ValueError("bug"),
    "backend": lambda: BackendError(original=OSError("down")),
    "integrity": lambda: IntegrityError("broken"),
    "unicity": lambda: UnicityError("title", {"id": "a"}),
    "full": lambda: httpexceptions.HTTPInsufficientStorage(),
    "busy": lambda: httpexceptions.HTTPServiceUnavailable(),
    "detail": lambda: httpexceptions.HTTPForbidden("not you"),
    "length": lambda: httpexceptions.HTTPLengthRequired(),
    "large": lambda: httpexceptions.HTTPRequestEntityTooLarge(),
    "elsewhere": lambda: httpexceptions.HTTPFound("http://elsewhere.example/"),
    "unicode": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
}

fail = cliquet.Service(name="fail", path="/fail/{how}")


@fail.get(permission=NO_PERMISSION_REQUIRED)
def get_fail(request):
    request.response.headers["X-Seen"] = "1"
    raise ERRORS[request.matchdict["how"]]()


echo = cliquet.Service(name="echo", path="/echo")


@echo.get(permission=NO_PERMISSION_REQUIRED)
def get_echo(request):
    return {
        "prefixed_userid": request.prefixed_userid,
        "authn_type": getattr(request, "authn_type", None),
        "selected_userid": getattr(request, "selected_userid", None),
        "principals": sorted(request.effective_principals),
        "service": request.current_service.name,
        "params": dict(request.params),
    }


@echo.post(permission=NO_PERMISSION_REQUIRED)
def post_echo(request):
    return request.json_body


def main(settings=None, config=None, *includes, **params):
    """Return the WSGI application.

    :param settings: laid over the application's own.
    :param config: the configurator; one is made by default.
    :param includes: functions of the configurator, or their dotted names, called before the scan.
    :param params: for ``cliquet.initialize``.
    """
    if config is None:
        config = Configurator(settings={**SETTINGS, **(settings or {})})
    else:
        config.add_settings({**SETTINGS, **(settings or {})})
    cliquet.initialize(config, **{"version": "0.0.1", **params})
    for include in includes:
        config.maybe_dotted(include)(config)
    config.scan("tests.testapp")
    return config.make_wsgi_app()

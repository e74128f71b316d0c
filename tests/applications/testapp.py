"""A small application for the tests of the plugins."""

from pyramid.config import Configurator

import cliquet
from cliquet import resource


class AnySchema(resource.ResourceSchema):
    class Options:
        preserve_unknown = True


@resource.register(
    name="project-task",
    collection_path="/projects/{{project_id}}/tasks",
    record_path="/projects/{{project_id}}/tasks/{{id}}",
)
@resource.register()
class Task(resource.UserResource):
    """Tasks of a user, with or without a project."""

    mapping = AnySchema()

    def get_parent_id(self, request):
        parent_id = super().get_parent_id(request)
        if "project_id" in request.matchdict:
            parent_id = "{0}:{project_id}".format(parent_id, **request.matchdict)
        return parent_id


@resource.register(collection_methods=("GET",), record_methods=("GET",))
class Signature(resource.UserResource):
    """Signatures, written by a plugin."""

    mapping = AnySchema()

    def _raise_400_if_invalid_id(self, record_id):
        """Signatures are found by the name of the signed resource."""


def main(global_config, **settings):
    config = Configurator(settings=settings)
    cliquet.initialize(config, "1.0", "testapp")
    config.scan("tests.applications.testapp")
    return config.make_wsgi_app()

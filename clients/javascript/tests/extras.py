"""Additions of the tests to the example application: records with any fields, a view for operators.

Its users can call the backends, to do what an operator does: purge tombstones or restore a backup.
"""

from cliquet import Service, resource
from cliquet.authorization import PRIVATE

BACKENDS = ("storage", "permission")


class NoteSchema(resource.ResourceSchema):
    class Options:
        preserve_unknown = True


@resource.register()
class Note(resource.UserResource):
    mapping = NoteSchema()


operations = Service(name="operations", path="/operations", description="Call the backends")


@operations.post(permission=PRIVATE)
def call(request):
    """Call methods of the backends, given as ``[backend, method, arguments, named arguments]``."""
    results = []
    for backend, method, arguments, named in request.json_body:
        assert backend in BACKENDS
        results.append(getattr(getattr(request.registry, backend), method)(*arguments, **named))
    return {"results": results}


def includeme(config):
    config.scan(__name__)

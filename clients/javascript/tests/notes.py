"""Notes: records with any fields, for the tests of queries."""

from cliquet import resource


class NoteSchema(resource.ResourceSchema):
    class Options:
        preserve_unknown = True


@resource.register()
class Note(resource.UserResource):
    mapping = NoteSchema()


def includeme(config):
    config.scan(__name__)

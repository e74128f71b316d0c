import colander

from cliquet import Service, resource, schema
from cliquet.authorization import PRIVATE


class BookmarkSchema(resource.ResourceSchema):
    """A page worth coming back to."""

    url = schema.URL(title="Address", description="Where the page is.")


@resource.register(collection_delete_arguments={"openapi": {"deprecated": True}})
class Bookmark(resource.UserResource):
    """Private to each user."""

    mapping = BookmarkSchema()

    def collection_get(self):
        """List the bookmarks.

        The latest one is first.
        """
        return super().collection_get()


class ScoresSchema(colander.MappingSchema):
    """The scores of a game, best first."""

    total = colander.SchemaNode(colander.Integer())


score = Service(name="score", path="/score/{game}")


@score.get(permission=PRIVATE, openapi={"responses": {200: ScoresSchema}})
def get_scores(request):
    """List the scores of a game."""
    return {"total": 0}


def includeme(config):
    config.scan(__name__)

"""Resources of the service, and a view that uses the same storage."""

import colander

from cliquet import Service, resource, schema
from cliquet.authorization import PRIVATE
from cliquet.resource import Sort


class BookmarkSchema(resource.ResourceSchema):
    url = schema.URL()
    title = colander.SchemaNode(colander.String(), missing="")
    device = colander.SchemaNode(colander.String(), missing="")

    class Options:
        readonly_fields = ("device",)
        unique_fields = ("url",)


@resource.register()
class Bookmark(resource.UserResource):
    """The private bookmarks of each user, at ``/bookmarks``. Each URL is saved once."""

    mapping = BookmarkSchema()

    def process_record(self, new, old=None):
        """Set the device that created the bookmark, whatever the client sends."""
        new = super().process_record(new, old)
        if old is None or old.get("deleted"):
            device = self.request.headers.get("User-Agent", "")
        else:
            device = old["device"]
        return {**new, "device": device}


class ArticleSchema(resource.ResourceSchema):
    title = colander.SchemaNode(colander.String())
    url = schema.URL(missing="")
    status = colander.SchemaNode(colander.Integer(), missing=0)
    added = schema.TimeStamp()


@resource.register()
class Article(resource.ShareableResource):
    """Articles, shared according to their permissions, at ``/articles``."""

    mapping = ArticleSchema()


class ScoreSchema(colander.MappingSchema):
    points = colander.SchemaNode(colander.Integer())


score = Service(name="score", path="/score/{game}", description="Store game score")


def collection_of(request):
    """Return the collection and parent ids of the scores of the user."""
    return "scores-" + request.matchdict["game"], request.prefixed_userid


@score.post(schema=ScoreSchema, permission=PRIVATE)
def post_score(request):
    return request.registry.storage.create(*collection_of(request), request.validated)


@score.get(permission=PRIVATE)
def get_scores(request):
    best_first = [Sort("points", -1)]
    scores, total = request.registry.storage.get_all(*collection_of(request), sorting=best_first)
    return {"data": scores, "total": total}

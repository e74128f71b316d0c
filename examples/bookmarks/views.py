"""What the service serves: two resources, and a view of its own on the same storage."""

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
    """Private to each user, at ``/bookmarks``; a URL is kept once."""

    mapping = BookmarkSchema()

    def process_record(self, new, old=None):
        """Tell the device with which the bookmark was made, whatever the client says."""
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
    """At ``/articles``: its ``permissions`` say who else may read, or write, each one."""

    mapping = ArticleSchema()


class ScoreSchema(colander.MappingSchema):
    points = colander.SchemaNode(colander.Integer())


score = Service(name="score", path="/score/{game}", description="Store game score")


def collection_of(request):
    """Return what the storage needs to know of where the scores of the user are."""
    return "scores-" + request.matchdict["game"], request.prefixed_userid


@score.post(schema=ScoreSchema, permission=PRIVATE)
def post_score(request):
    return request.registry.storage.create(*collection_of(request), request.validated)


@score.get(permission=PRIVATE)
def get_scores(request):
    best_first = [Sort("points", -1)]
    scores, total = request.registry.storage.get_all(*collection_of(request), sorting=best_first)
    return {"data": scores, "total": total}

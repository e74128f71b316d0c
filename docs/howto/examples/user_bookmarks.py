from cliquet import resource, schema


class BookmarkSchema(resource.ResourceSchema):
    url = schema.URL()


@resource.register(
    collection_path="/user/bookmarks",
    record_path="/user/bookmarks/{{id}}",
    collection_methods=("GET",),
)
class Bookmark(resource.UserResource):
    mapping = BookmarkSchema()


def includeme(config):
    config.scan(__name__)

"""The resource of the tutorial."""

from cliquet import resource, schema


class BookmarkSchema(resource.ResourceSchema):
    url = schema.URL()


@resource.register()
class Bookmark(resource.UserResource):
    mapping = BookmarkSchema()

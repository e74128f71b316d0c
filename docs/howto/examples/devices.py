import colander

from cliquet import resource, schema


class LinkSchema(resource.ResourceSchema):
    url = schema.URL()
    title = colander.SchemaNode(colander.String())
    device = colander.SchemaNode(colander.String(), missing="")

    class Options:
        readonly_fields = ("device",)
        unique_fields = ("url",)


@resource.register()
class Link(resource.UserResource):
    mapping = LinkSchema()

    def process_record(self, new, old=None):
        new = super().process_record(new, old)
        if old is None:
            new["device"] = self.request.headers.get("User-Agent", "")
        return new


def includeme(config):
    config.scan(__name__)

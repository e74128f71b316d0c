"""Collections, which hold records and may have a JSON schema for them."""

import colander
import jsonschema
from pyramid.events import subscriber

from cliquet import resource
from cliquet.events import ACTIONS, ResourceChanged
from tests.applications.depot.authorization import RouteFactory
from tests.applications.depot.views import NameGenerator, get_or_404


class JSONSchemaNode(colander.SchemaNode):
    """A JSON schema, checked itself."""

    @staticmethod
    def schema_type():
        return colander.Mapping(unknown="preserve")

    def deserialize(self, cstruct=colander.null):
        value = super().deserialize(cstruct)
        if isinstance(value, dict):
            try:
                jsonschema.Draft4Validator.check_schema(value)
            except jsonschema.SchemaError as error:
                self.raise_invalid(f"Invalid JSON schema: {error.message}")
        return value


class CollectionSchema(resource.ResourceSchema):
    schema = JSONSchemaNode(missing=colander.drop)
    #: Seconds that anonymous clients may cache the records for.
    cache_expires = colander.SchemaNode(colander.Integer(), missing=colander.drop)

    class Options:
        preserve_unknown = True


@resource.register(
    name="collection",
    collection_path="/buckets/{{bucket_id}}/collections",
    record_path="/buckets/{{bucket_id}}/collections/{{id}}",
    factory=RouteFactory,
)
class Collection(resource.ShareableResource):
    mapping = CollectionSchema()
    permissions = ("read", "write", "record:create")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        get_or_404(self.request, "bucket", self.request.matchdict["bucket_id"])
        self.model.id_generator = NameGenerator()

    def get_parent_id(self, request):
        return "/buckets/{bucket_id}".format(**request.matchdict)


def delete_records(request, collection_uri):
    """Delete the records of a collection, their tombstones and their permissions."""
    storage = request.registry.storage
    where = {"collection_id": "record", "parent_id": collection_uri}
    records, _ = storage.get_all(**where)
    storage.delete_all(with_deleted=False, **where)
    storage.purge_deleted(**where)
    request.registry.permission.delete_object_permissions(
        *["{0}/records/{id}".format(collection_uri, **record) for record in records]
    )


@subscriber(ResourceChanged, for_resources=("collection",), for_actions=(ACTIONS.DELETE,))
def on_collections_deleted(event):
    for change in event.impacted_records:
        collection_id = change["old"]["id"]
        delete_records(
            event.request,
            "/buckets/{bucket_id}/collections/{0}".format(collection_id, **event.payload),
        )

"""Records of any fields, or of those that the schema of their collection allows."""

import jsonschema

from cliquet import resource
from cliquet.errors import raise_invalid
from tests.applications.depot.authorization import RouteFactory
from tests.applications.depot.views import get_or_404

SCHEMA_FIELD = "schema"


class RecordSchema(resource.ResourceSchema):
    class Options:
        preserve_unknown = True


@resource.register(
    name="record",
    collection_path="/buckets/{{bucket_id}}/collections/{{collection_id}}/records",
    record_path="/buckets/{{bucket_id}}/collections/{{collection_id}}/records/{{id}}",
    factory=RouteFactory,
)
class Record(resource.ShareableResource):
    mapping = RecordSchema()

    def __init__(self, request, **kwargs):
        # The identifiers are known before the resource asks for the parent id.
        self.bucket_uri = "/buckets/{bucket_id}".format(**request.matchdict)
        self.collection_id = request.matchdict["collection_id"]
        super().__init__(request, **kwargs)

        get_or_404(request, "bucket", request.matchdict["bucket_id"])
        self.collection_record = get_or_404(
            request, "collection", self.collection_id, parent_id=self.bucket_uri
        )

    def get_parent_id(self, request):
        return f"{self.bucket_uri}/collections/{self.collection_id}"

    def is_known_field(self, name):
        """Records may be filtered and sorted by any field."""
        return True

    def process_record(self, new, old=None):
        """Check the record with the schema of its collection, whose version is remembered."""
        internal = (
            self.model.id_field,
            self.model.modified_field,
            self.model.permissions_field,
            SCHEMA_FIELD,
        )
        data = {field: value for field, value in new.items() if field not in internal}
        if len(data) > self.request.registry.settings["record_max_fields"]:
            raise_invalid(self.request, name="data", description="Too many fields")

        schema = self.collection_record.get("schema")
        if schema is not None:
            try:
                jsonschema.validate(data, schema, cls=jsonschema.Draft4Validator)
            except jsonschema.ValidationError as error:
                field = error.path[-1] if error.path else None
                raise_invalid(self.request, name=field, description=error.message)
            new = dict(new, **{SCHEMA_FIELD: self.collection_record[self.model.modified_field]})
        return super().process_record(new, old)

    def _add_cache_header(self, response):
        super()._add_cache_header(response)
        seconds = self.collection_record.get("cache_expires")
        if seconds is not None and self.request.authenticated_userid is None:
            response.cache_expires(seconds=seconds)

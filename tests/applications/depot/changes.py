"""A public list of the collections that changed, for clients that watch several of them.

Enable it with::

    depot.includes = tests.applications.depot.changes
    changes.collections = /buckets/press/collections/articles
                          /buckets/press/collections/authors
"""

import operator
import uuid

import colander
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.settings import aslist

import cliquet
from cliquet import resource
from cliquet.resource.schema import ResourceSchema, TimeStamp
from cliquet.utils import COMPARISON

DEFAULT_SETTINGS = {"changes.collections": ""}

OPERATORS = {
    COMPARISON.EQ: operator.eq,
    COMPARISON.NOT: operator.ne,
    COMPARISON.GT: operator.gt,
    COMPARISON.MIN: operator.ge,
    COMPARISON.LT: operator.lt,
    COMPARISON.MAX: operator.le,
}


class ChangesModel:
    """A model whose records are computed."""

    id_field = "id"
    modified_field = "last_modified"
    deleted_field = "deleted"
    collection_id = "change"

    def __init__(self, request):
        self.storage = request.registry.storage
        self.collections = aslist(request.registry.settings["changes.collections"])

    def entries(self):
        for uri in self.collections:
            _, _, bucket_id, _, collection_id = uri.split("/")
            yield {
                self.id_field: str(uuid.uuid5(uuid.NAMESPACE_URL, uri)),
                self.modified_field: self.storage.collection_timestamp("record", uri),
                "bucket": bucket_id,
                "collection": collection_id,
            }

    def timestamp(self, parent_id=None):
        return max([entry[self.modified_field] for entry in self.entries()] or [0])

    def get_records(
        self,
        filters=None,
        sorting=None,
        pagination_rules=None,
        limit=None,
        include_deleted=False,
        parent_id=None,
    ):
        records = [
            entry
            for entry in self.entries()
            if all(OPERATORS[op](entry[field], value) for field, value, op in filters or [])
        ]
        for field, direction in reversed(sorting or []):
            records.sort(key=operator.itemgetter(field), reverse=direction < 0)
        return records, len(records)


class ChangeSchema(ResourceSchema):
    bucket = colander.SchemaNode(colander.String())
    collection = colander.SchemaNode(colander.String())
    last_modified = TimeStamp()


@resource.register(
    name="change",
    collection_path="/changes",
    record_path="/changes/{{id}}",
    collection_methods=("GET",),
    record_methods=(),
    default_arguments={"permission": NO_PERMISSION_REQUIRED},
)
class Change(resource.UserResource):
    mapping = ChangeSchema()

    def __init__(self, request, context=None):
        super().__init__(request, context)
        self.model = ChangesModel(request)


def includeme(config):
    cliquet.load_default_settings(config, DEFAULT_SETTINGS)
    config.scan("tests.applications.depot.changes")

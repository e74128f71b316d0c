"""Buckets, which hold collections and groups."""

from pyramid.events import subscriber

from cliquet import resource
from cliquet.events import ACTIONS, ResourceChanged
from tests.applications.depot.authorization import RouteFactory
from tests.applications.depot.views import NameGenerator
from tests.applications.depot.views.collections import delete_records
from tests.applications.depot.views.groups import remove_group_principals


class BucketSchema(resource.ResourceSchema):
    class Options:
        preserve_unknown = True


@resource.register(
    name="bucket",
    collection_path="/buckets",
    record_path="/buckets/{{id}}",
    factory=RouteFactory,
)
class Bucket(resource.ShareableResource):
    mapping = BucketSchema()
    permissions = ("read", "write", "collection:create", "group:create", "record:create")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.model.id_generator = NameGenerator()

    def get_parent_id(self, request):
        # Buckets are not isolated by user.
        return ""


@subscriber(ResourceChanged, for_resources=("bucket",), for_actions=(ACTIONS.DELETE,))
def on_buckets_deleted(event):
    """Delete the content of the buckets."""
    storage = event.request.registry.storage
    permission = event.request.registry.permission

    for change in event.impacted_records:
        bucket_uri = "/buckets/{id}".format(**change["old"])

        collections, _ = storage.get_all(collection_id="collection", parent_id=bucket_uri)
        for collection in collections:
            delete_records(event.request, "{0}/collections/{id}".format(bucket_uri, **collection))

        groups, _ = storage.get_all(collection_id="group", parent_id=bucket_uri)
        remove_group_principals(event.request, bucket_uri, groups)

        for name, objects in (("collection", collections), ("group", groups)):
            storage.delete_all(collection_id=name, parent_id=bucket_uri, with_deleted=False)
            storage.purge_deleted(collection_id=name, parent_id=bucket_uri)
            permission.delete_object_permissions(
                *["{0}/{1}s/{id}".format(bucket_uri, name, **item) for item in objects]
            )

"""Groups of users, whose URIs are principals."""

import colander
from pyramid.events import subscriber

from cliquet import resource
from cliquet.events import ACTIONS, ResourceChanged
from tests.applications.depot.authorization import RouteFactory
from tests.applications.depot.views import NameGenerator, get_or_404


class GroupSchema(resource.ResourceSchema):
    members = colander.SchemaNode(colander.Sequence(), colander.SchemaNode(colander.String()))

    class Options:
        preserve_unknown = True


@resource.register(
    name="group",
    collection_path="/buckets/{{bucket_id}}/groups",
    record_path="/buckets/{{bucket_id}}/groups/{{id}}",
    factory=RouteFactory,
)
class Group(resource.ShareableResource):
    mapping = GroupSchema()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        get_or_404(self.request, "bucket", self.request.matchdict["bucket_id"])
        self.model.id_generator = NameGenerator()

    def get_parent_id(self, request):
        return "/buckets/{bucket_id}".format(**request.matchdict)


def remove_group_principals(request, bucket_uri, groups):
    """Take the principal of each group from its members."""
    for group in groups:
        request.registry.permission.remove_principal("{0}/groups/{id}".format(bucket_uri, **group))


@subscriber(ResourceChanged, for_resources=("group",), for_actions=(ACTIONS.CREATE, ACTIONS.UPDATE))
def on_groups_changed(event):
    """Give the principal of the group to new members, and take it from former ones."""
    permission = event.request.registry.permission
    for change in event.impacted_records:
        group = change["new"]
        group_uri = "/buckets/{bucket_id}/groups/{0}".format(group["id"], **event.payload)
        members = set(group["members"])
        former = set(change["old"]["members"]) if "old" in change else set()
        for member in members - former:
            permission.add_user_principal(member, group_uri)
        for member in former - members:
            permission.remove_user_principal(member, group_uri)


@subscriber(ResourceChanged, for_resources=("group",), for_actions=(ACTIONS.DELETE,))
def on_groups_deleted(event):
    bucket_uri = "/buckets/{bucket_id}".format(**event.payload)
    groups = [change["old"] for change in event.impacted_records]
    remove_group_principals(event.request, bucket_uri, groups)

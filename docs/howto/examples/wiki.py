"""Shared wikis, whose pages inherit the permissions of the wiki."""

import colander
from pyramid.httpexceptions import HTTPForbidden
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet import Service, resource
from cliquet.authorization import entry_principals
from cliquet.errors import ERRORS, http_error


class TitleSchema(resource.ResourceSchema):
    title = colander.SchemaNode(colander.String())


@resource.register()
class Wiki(resource.ShareableResource):
    mapping = TitleSchema()
    permissions = ("read", "write", "publish")


@resource.register(
    collection_path="/wikis/{{wiki_id}}/pages",
    record_path="/wikis/{{wiki_id}}/pages/{{id}}",
)
class Page(resource.ShareableResource):
    mapping = TitleSchema()

    def get_parent_id(self, request):
        return f"/wikis/{request.matchdict['wiki_id']}"


publication = Service(name="publication", path="/wikis/{wiki_id}/publication")


@publication.post(permission=NO_PERMISSION_REQUIRED)
def post_publication(request):
    wiki = f"/wikis/{request.matchdict['wiki_id']}"
    principals = entry_principals(request.effective_principals, request.prefixed_userid)
    if not request.registry.permission.check_permission(wiki, "publish", principals):
        raise http_error(
            HTTPForbidden(),
            errno=ERRORS.FORBIDDEN,
            message="You are not allowed to publish this wiki.",
        )
    return {"published": wiki}


def includeme(config):
    config.scan(__name__)

"""Folders that contain notes: ``/folders/{id}/notes``."""

import colander
from pyramid.events import subscriber
from pyramid.httpexceptions import HTTPNotFound

from cliquet import resource
from cliquet.errors import ERRORS, http_error
from cliquet.events import ACTIONS, ResourceChanged
from cliquet.storage.exceptions import RecordNotFoundError


class NameSchema(resource.ResourceSchema):
    name = colander.SchemaNode(colander.String())


@resource.register()
class Folder(resource.UserResource):
    mapping = NameSchema()


def notes_of(user_id, folder_id):
    """Return the parent id of the notes in a folder."""
    return f"{user_id}/folders/{folder_id}"


@resource.register(
    collection_path="/folders/{{folder_id}}/notes",
    record_path="/folders/{{folder_id}}/notes/{{id}}",
)
class Note(resource.UserResource):
    mapping = NameSchema()

    def __init__(self, request, context=None):
        super().__init__(request, context)
        storage = request.registry.storage
        # A write locks the folder, so that no other request deletes it before the commit.
        get = storage.get if request.method in ("GET", "HEAD") else storage.get_for_update
        try:
            get("folder", request.prefixed_userid, request.matchdict["folder_id"])
        except RecordNotFoundError:
            raise http_error(
                HTTPNotFound(), errno=ERRORS.MISSING_RESOURCE, message="This folder does not exist."
            ) from None

    def get_parent_id(self, request):
        return notes_of(request.prefixed_userid, request.matchdict["folder_id"])


@subscriber(ResourceChanged, for_resources=("folder",), for_actions=(ACTIONS.DELETE,))
def delete_notes(event):
    """Delete the notes of the deleted folders in the same transaction."""
    storage = event.request.registry.storage
    for impacted in event.impacted_records:
        parent_id = notes_of(event.payload["user_id"], impacted["old"]["id"])
        storage.delete_all("note", parent_id, with_deleted=False)


def includeme(config):
    config.scan(__name__)

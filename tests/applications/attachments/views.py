"""Documents, and the service that attaches files to them."""

import os
import uuid

import colander
import cornice
from pyramid import httpexceptions
from pyramid.events import subscriber
from pyramid.settings import aslist

from cliquet import Service, resource
from cliquet.authorization import DYNAMIC, RouteFactory
from cliquet.errors import raise_invalid
from cliquet.events import ACTIONS, ResourceChanged
from cliquet.utils import build_request


class FileSchema(colander.MappingSchema):
    filename = colander.SchemaNode(colander.String())
    location = colander.SchemaNode(colander.String())
    mimetype = colander.SchemaNode(colander.String())
    size = colander.SchemaNode(colander.Integer())


class DocumentSchema(resource.ResourceSchema):
    title = colander.SchemaNode(colander.String(), missing="")
    attachment = FileSchema(missing=colander.drop)


@resource.register()
class Document(resource.ShareableResource):
    mapping = DocumentSchema()


extensions = cornice.Service(
    name="extensions",
    path="/extensions",
    description="Extensions of the files that can be attached",
    renderer="json",
)


@extensions.get()
def extensions_get(request):
    return {"data": aslist(request.registry.settings["extensions"])}


class AttachmentContext(RouteFactory):
    """Attaching a file requires the permission to write the document."""

    def __init__(self, request):
        super().__init__(request)
        self.resource_name = "document"
        self.required_permission = "write"
        self.permission_object_id = document_uri(request)

    def get_permission_object_id(self, request, record_id=None):
        return document_uri(request)


attachment = Service(
    name="attachment",
    path="/documents/{id}/attachment",
    description="File attached to a document",
    factory=AttachmentContext,
)


def document_uri(request):
    return "/documents/{id}".format(**request.matchdict)


def save_file(request):
    """Save the file of the body, and return its description."""
    content = request.POST.get("attachment")
    if not hasattr(content, "filename"):
        raise_invalid(request, name="attachment", description="attachment should be a file")
    filename = os.path.basename(content.filename)
    extension = filename.rpartition(".")[2].lower()
    settings = request.registry.settings
    if extension not in aslist(settings["extensions"]):
        raise_invalid(request, name="attachment", description="attachment has a wrong extension")
    document_id, name = request.matchdict["id"], f"{uuid.uuid4()}.{extension}"
    return {
        "filename": filename,
        "location": "{}{}/{}".format(settings["base_url"], document_id, name),
        "mimetype": content.type,
        "size": request.registry.files.save(document_id, name, content.file),
    }


def delete_file(request, description):
    document_id, name = description["location"].split("/")[-2:]
    request.registry.files.delete(document_id, name)


@attachment.post(permission=DYNAMIC)
def attachment_post(request):
    """Attach a file, with a request that modifies the document."""
    saved = save_file(request)
    subrequest = build_request(
        request,
        {
            "method": "PATCH",
            "path": document_uri(request),
            "body": {"data": {"attachment": saved}},
            "headers": {"Content-Type": "application/json"},
        },
    )
    try:
        response, _ = request.follow_subrequest(subrequest)
    except httpexceptions.HTTPException:
        delete_file(request, saved)
        raise
    request.response.headers["Location"] = saved["location"]
    request.response.status = 201
    return response.json["data"]["attachment"]


@attachment.delete(permission=DYNAMIC)
def attachment_delete(request):
    """Remove the file, with a resource made by hand."""
    document = Document(request, context=request.context)
    old = document._get_record_or_404(request.matchdict["id"])
    document._raise_412_if_modified(old)
    changed = {field: value for field, value in old.items() if field != "attachment"}
    new = document.model.update_record(changed)
    request.current_resource_name = "document"
    return document.postprocess(new, action=ACTIONS.UPDATE, old=old)


@subscriber(ResourceChanged, for_resources=("document",), for_actions=(ACTIONS.UPDATE,))
def on_documents_changed(event):
    """Delete the files that were replaced or removed."""
    for change in event.impacted_records:
        old = change["old"].get("attachment")
        if old and old != change["new"].get("attachment"):
            delete_file(event.request, old)


@subscriber(ResourceChanged, for_resources=("document",), for_actions=(ACTIONS.DELETE,))
def on_documents_deleted(event):
    for change in event.impacted_records:
        event.request.registry.files.delete_all(change["old"]["id"])

"""A personal bucket for every user, reached as ``/buckets/default``.

Enable it with::

    depot.includes = tests.applications.depot.default_bucket

The bucket, and the collections in it, are created when they are first requested.
"""

from pyramid import httpexceptions
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet.errors import raise_invalid
from cliquet.events import ACTIONS
from cliquet.storage.exceptions import UnicityError
from cliquet.utils import build_request, hmac_digest, reapply_cors
from cliquet.views.errors import authorization_required
from tests.applications.depot.authorization import RouteFactory
from tests.applications.depot.views.buckets import Bucket
from tests.applications.depot.views.collections import Collection


def bucket_id_of(request):
    """Return the id of the user's bucket, which others can't guess."""
    secret = request.registry.settings["userid_hmac_secret"]
    return hmac_digest(secret, request.prefixed_userid)[:32]


def create_object(request, resource_cls, uri):
    """Create an object on behalf of the user, unless it exists, and notify it."""
    known = request.bound_data.setdefault("default_objects", set())
    if uri in known:
        return
    known.add(uri)

    context = RouteFactory(request)
    context.get_permission_object_id = lambda r, i: uri
    resource = resource_cls(request, context)

    object_id = uri.split("/")[-1]
    if not resource.model.id_generator.match(object_id):
        raise_invalid(request, location="path", description="Invalid id")
    try:
        created = resource.model.create_record({"id": object_id})
    except UnicityError:
        return
    request.current_resource_name = resource_cls.__name__.lower()
    resource.postprocess(created, action=ACTIONS.CREATE)


def create_parents(request, bucket_id, subpath):
    """Create the bucket, and the collection that the URL names."""
    matchdict = request.matchdict
    bucket_uri = f"/buckets/{bucket_id}"

    request.matchdict = {"id": bucket_id}
    create_object(request, Bucket, bucket_uri)

    parts = subpath.strip("/").split("/")
    if parts[0] == "collections" and len(parts) > 2:
        request.matchdict = {"bucket_id": bucket_id, "id": parts[1]}
        create_object(request, Collection, f"{bucket_uri}/collections/{parts[1]}")

    request.matchdict = matchdict


def forge_request(request, bucket_id):
    """Return the same request to the real bucket."""
    path = request.path.replace("/buckets/default", f"/buckets/{bucket_id}", 1)
    if request.query_string:
        path = f"{path}?{request.query_string}"
    subrequest = build_request(
        request, {"method": request.method, "path": path, "body": request.body}
    )
    subrequest.bound_data = request.bound_data
    return subrequest


def default_bucket(request):
    """Forward the request to the user's bucket."""
    if request.method == "OPTIONS":
        return request.invoke_subrequest(forge_request(request, "unknown"))

    if request.prefixed_userid is None:
        return authorization_required(request)

    bucket_id = bucket_id_of(request)
    create_parents(request, bucket_id, request.matchdict["subpath"])
    subrequest = forge_request(request, bucket_id)
    try:
        return request.invoke_subrequest(subrequest)
    except httpexceptions.HTTPException as error:
        is_redirection = error.status_code < 400
        if error.content_type != "application/json" and not is_redirection:
            raise
        return reapply_cors(subrequest, error)


def includeme(config):
    config.add_api_capability(
        "default_bucket",
        description="Every user has a bucket at /buckets/default",
        url="https://depot.example/docs/default-bucket",
    )
    config.add_route("default_bucket", "/buckets/default{subpath:(/.*)?}")
    config.add_view(default_bucket, route_name="default_bucket", permission=NO_PERMISSION_REQUIRED)

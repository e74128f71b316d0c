"""The feeds, and the responses when the other service fails."""

import colander
import requests
from pyramid import httpexceptions
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from cliquet import Service, logger
from cliquet.errors import ERRORS, http_error, json_error_handler, send_alert
from cliquet.resource.schema import URL, ResourceSchema
from cliquet.statsd import statsd_count
from cliquet.utils import reapply_cors
from cliquet.views.errors import service_unavailable
from tests.applications.relay.upstream import get_token

FORWARDED_HEADERS = ("ETag", "Last-Modified", "Total-Records")


def error_handler(errors):
    """Log invalid requests."""
    logger.warning("Invalid request", errors=[error["description"] for error in errors])
    return json_error_handler(errors)


feeds = Service(
    name="feeds",
    path="/feeds",
    description="Subscriptions",
    error_handler=error_handler,
)

feed = Service(
    name="feed",
    path="/feeds/{name}",
    description="Entries of a feed",
    cors_headers=FORWARDED_HEADERS,
    error_handler=error_handler,
)


class FeedSchema(ResourceSchema):
    url = URL()
    title = colander.SchemaNode(colander.String(), missing="")


class PayloadSchema(colander.MappingSchema):
    """Body of a subscription; it has no other key than ``data``."""

    data = FeedSchema()

    def schema_type(self, **kw):
        return colander.Mapping(unknown="raise")


def valid_limit(request):
    limit = request.GET.get("limit", "10")
    if not limit.isdigit():
        request.errors.add("querystring", "limit", "limit should be a number")
    request.validated["limit"] = limit


def credentials_required(request):
    if "Authorization" not in request.headers:
        raise http_error(
            httpexceptions.HTTPUnauthorized(),
            errno=ERRORS.MISSING_AUTH_TOKEN,
            message="Provide your credentials of the other service.",
        )


@feed.get(validators=(credentials_required, valid_limit), permission=NO_PERMISSION_REQUIRED)
def feed_get(request):
    headers = {"Authorization": f"Token {get_token(request)}"}
    if "If-None-Match" in request.headers:
        headers["If-None-Match"] = request.headers["If-None-Match"]
    response = request.registry.upstream.request(
        "GET",
        "/feeds/{name}".format(**request.matchdict),
        headers=headers,
        params={"limit": request.validated["limit"]},
    )
    forwarded = {
        name: response.headers[name] for name in FORWARDED_HEADERS if name in response.headers
    }
    if response.status_code == 304:
        raise httpexceptions.HTTPNotModified(headers=forwarded)
    request.response.headers.update(forwarded)
    if "Sunset" in response.headers:
        send_alert(request, "The feed will end on " + response.headers["Sunset"])
    return {"data": response.json()}


@feeds.post(schema=PayloadSchema, permission=NO_PERMISSION_REQUIRED)
def feeds_post(request):
    credentials_required(request)
    response = request.registry.upstream.request(
        "POST",
        "/feeds",
        headers={"Authorization": f"Token {get_token(request)}"},
        json=request.validated["data"],
    )
    request.response.status = 201
    return {"data": response.json()}


@view_config(context=requests.HTTPError, permission=NO_PERMISSION_REQUIRED)
def upstream_refused(error, request):
    """Forward the errors of the client; others are those of the other service."""
    status = error.response.status_code
    if status == 401:
        response = http_error(
            httpexceptions.HTTPUnauthorized(),
            errno=ERRORS.INVALID_AUTH_TOKEN,
            message="Invalid token",
        )
    elif status == 404:
        response = http_error(
            httpexceptions.HTTPNotFound(),
            errno=ERRORS.MISSING_RESOURCE,
            message="Unknown feed",
        )
    else:
        return upstream_unavailable(error, request)
    return reapply_cors(request, response)


@view_config(context=requests.RequestException, permission=NO_PERMISSION_REQUIRED)
def upstream_unavailable(error, request):
    """Ask the client to retry later."""
    logger.error("The other service failed", error=str(error))
    statsd_count(request, "upstream.failed")
    response = http_error(
        httpexceptions.HTTPServiceUnavailable(),
        errno=ERRORS.BACKEND,
        message="The other service is unavailable.",
    )
    return service_unavailable(response, request)

"""Every error becomes JSON here, with its CORS headers (protocol, "Errors")."""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from pyramid import httpexceptions
from pyramid.exceptions import URLDecodeError
from pyramid.security import forget
from pyramid.view import exception_view_config, forbidden_view_config, notfound_view_config

from cliquet.errors import ERRORS, http_error, raise_invalid
from cliquet.storage.exceptions import BackendError
from cliquet.transactions import runs_again
from cliquet.utils import forget_variables, reapply_cors
from cliquet.utils.http import is_json, path_text

logger = logging.getLogger(__name__)

_VERSION = re.compile(r"/v\d+(/|$)")

_DEFAULTS = {
    401: (ERRORS.MISSING_AUTH_TOKEN, "Please authenticate yourself to use this endpoint."),
    403: (ERRORS.FORBIDDEN, "This user cannot access this resource."),
    404: (ERRORS.MISSING_RESOURCE, "The resource you are looking for could not be found."),
    405: (ERRORS.METHOD_NOT_ALLOWED, "Method not allowed on this endpoint."),
    411: (ERRORS.MISSING_CONTENT_LENGTH, None),
    413: (ERRORS.REQUEST_TOO_LARGE, None),
}


@forbidden_view_config()
def authorization_required(error: Any, request: Any) -> Any:
    """Answer 401 to who is unknown, 403 to who may not."""
    if is_json(error):
        return reapply_cors(request, error)
    response = httpexceptions.HTTPForbidden()
    if request.authenticated_userid is None:
        response = httpexceptions.HTTPUnauthorized()
        response.headers.extend(forget(request))
    return _formatted(request, response)


@notfound_view_config()
def page_not_found(error: Any, request: Any) -> Any:
    """Answer 404, or redirect to the URL that was meant."""
    if is_json(error):
        return reapply_cors(request, error)
    if request.matched_route is None:
        location = _meant(request)
        if location is not None:
            query = f"?{request.query_string}" if request.query_string else ""
            redirection = httpexceptions.HTTPTemporaryRedirect(location + query)
            return reapply_cors(request, redirection)
    response = httpexceptions.HTTPNotFound()
    if not _has_version(request):
        http_error(
            response,
            errno=ERRORS.VERSION_NOT_AVAILABLE,
            message="The requested protocol version is not available on this server.",
        )
        return reapply_cors(request, response)
    return _formatted(request, response)


def _has_version(request: Any) -> bool:
    prefix = f"/{request.registry.route_prefix}"
    return prefix == "/" or f"{request.path_info}/".startswith(f"{prefix}/")


def _meant(request: Any) -> str | None:
    """Return the path that a URL without version, or with one slash too many, stands for."""
    registry, path = request.registry, request.path_info
    if not _has_version(request):
        if not getattr(registry, "redirect_to_version", False) or _VERSION.match(path):
            return None
        return f"{request.script_name}/{registry.route_prefix}{quote(path)}"
    if not getattr(registry, "redirect_slash", False):
        return None
    root = f"/{registry.route_prefix}"
    if path == root:
        return f"{request.path}/"
    if path.endswith("/") and path.rstrip("/") not in ("", root):
        return str(request.path).rstrip("/")
    return None


@exception_view_config(context=httpexceptions.HTTPException)
def http_exception(error: Any, request: Any) -> Any:
    """Give a response that was raised the body of an error; redirections stay as they are."""
    if is_json(error) or error.status_code < 400:
        return reapply_cors(request, error)
    return _formatted(request, error)


def _formatted(request: Any, response: Any) -> Any:
    if response.status_code == 503:
        return _unavailable(request, response)
    errno, message = _DEFAULTS.get(response.status_code, (ERRORS.UNDEFINED, None))
    http_error(
        response,
        errno=errno,
        message=message or response.detail or response.explanation or None,
    )
    return reapply_cors(request, response)


def _with_cors(request: Any, response: Any) -> Any:
    """Put the CORS headers on a failure.

    Pages of other origins may read those of resources; of other services, they
    learn nothing but that the request failed, as with Cliquet 3.1.
    """
    service = request.current_service
    if service is not None and not hasattr(service, "viewset"):
        origin = request.environ.pop("HTTP_ORIGIN", None)
        reapply_cors(request, response)
        if origin is not None:
            request.environ["HTTP_ORIGIN"] = origin
        return response
    return reapply_cors(request, response)


def _unavailable(request: Any, response: Any) -> Any:
    seconds = request.registry.settings["retry_after_seconds"]
    response.headers.setdefault("Retry-After", str(seconds))
    http_error(
        response,
        errno=ERRORS.BACKEND,
        message="Service temporary unavailable due to overloading or maintenance, "
        "please retry later.",
    )
    return _with_cors(request, response)


@exception_view_config(context=UnicodeDecodeError)
def not_utf8(error: UnicodeDecodeError, request: Any) -> Any:
    """Answer 400 when it is the URL that isn't encoded in UTF-8."""
    if isinstance(error, URLDecodeError):
        location = "path"
    elif not _is_utf8(request.query_string):
        location = "querystring"
    else:
        return failure(error, request)
    try:
        raise_invalid(request, location, description="Should be encoded in UTF-8")
    except httpexceptions.HTTPBadRequest as response:
        return reapply_cors(request, response)


def _is_utf8(query: str) -> bool:
    try:
        unquote_to_bytes(query).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@exception_view_config(context=BackendError)
def backend_failure(error: Any, request: Any) -> Any:
    """Answer 503: the client may try again, unless the service itself does."""
    _log(error, request)
    return _unavailable(request, httpexceptions.HTTPServiceUnavailable())


@exception_view_config(context=Exception)
def failure(error: Any, request: Any) -> Any:
    """Answer 500: a bug, whose traceback goes to the log and not to the client."""
    _log(error, request)
    response = http_error(
        httpexceptions.HTTPInternalServerError(),
        errno=ERRORS.UNDEFINED,
        message="A programmatic error occured, developers have been informed.",
        info=request.registry.settings["error_info_link"],
    )
    return _with_cors(request, response)


def _log(error: Any, request: Any) -> None:
    """Log what failed, once: the failure of a sub-request is that of its batch too."""
    if runs_again(request):
        logger.info("%s %s runs again: %s", request.method, path_text(request), error)
        return
    bound_data = getattr(request, "bound_data", {})
    if bound_data.get("logged_error") is not error:
        bound_data["logged_error"] = error
        forget_variables(error)
        what = request.method, path_text(request), error, request.request_id
        logger.error("%s %s failed: %s (request %s)", *what, exc_info=error)

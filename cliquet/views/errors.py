"""Exception views that return JSON with CORS headers (protocol, "Errors")."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from pyramid import httpexceptions
from pyramid.authorization import Authenticated as Authenticated
from pyramid.exceptions import URLDecodeError
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED as NO_PERMISSION_REQUIRED
from pyramid.security import forget
from pyramid.view import exception_view_config, forbidden_view_config, notfound_view_config
from webob.request import DisconnectionError

from cliquet.drivers.outages import should_log
from cliquet.errors import ERRORS, add_error, http_error, json_error_handler
from cliquet.loggers import get_logger
from cliquet.refusals import explain
from cliquet.state import state_of
from cliquet.storage.exceptions import BackendError
from cliquet.transactions import will_retry
from cliquet.types import Request
from cliquet.utils import encode_header as encode_header
from cliquet.utils import forget_variables, reapply_cors
from cliquet.utils.http import is_json

logger = get_logger(__name__)

_VERSION = re.compile(r"/v[0-9]")

_DEFAULTS = {
    401: (ERRORS.MISSING_AUTH_TOKEN, "Please authenticate yourself to use this endpoint."),
    403: (ERRORS.FORBIDDEN, "This user cannot access this resource."),
    404: (ERRORS.MISSING_RESOURCE, "The resource you are looking for could not be found."),
    405: (ERRORS.METHOD_NOT_ALLOWED, "Method not allowed on this endpoint."),
    411: (ERRORS.MISSING_CONTENT_LENGTH, None),
    413: (ERRORS.REQUEST_TOO_LARGE, None),
}


def cors(view: Callable[..., Any]) -> Callable[..., Any]:
    """Add the CORS headers to the responses of a view (decorator)."""

    @functools.wraps(view)
    def wrapped_view(request: Request, *args: Any, **kwargs: Any) -> Any:
        return reapply_cors(request, view(request, *args, **kwargs))

    return wrapped_view


@forbidden_view_config()
@cors
def authorization_required(request: Request) -> Any:
    """Return a 401 for anonymous users, and a 403 for the others."""
    error = getattr(request, "exception", None)
    if error is not None and is_json(error):
        return error
    if request.authenticated_userid is None:
        response = httpexceptions.HTTPUnauthorized()
        response.headers.extend(forget(request))
        return _formatted(response)
    refused = getattr(error, "refused", None)  # unless the application raised the 403 itself
    details = explain(request, *refused) if isinstance(refused, tuple) else None
    return _formatted(httpexceptions.HTTPForbidden(), details)


@notfound_view_config()
@cors
def page_not_found(request: Request) -> Any:
    """Return a 404, or redirect to the intended URL."""
    location = _redirect_target(request)
    if location is not None:
        query = f"?{request.query_string}" if request.query_string else ""
        return httpexceptions.HTTPTemporaryRedirect(location + query)
    error = getattr(request, "exception", None)
    if error is not None and is_json(error):
        return error
    response = httpexceptions.HTTPNotFound()
    if request.path_info.startswith(f"/{request.registry.route_prefix}"):
        return _formatted(response)
    return http_error(
        response,
        errno=ERRORS.VERSION_NOT_AVAILABLE,
        message="The requested protocol version is not available on this server.",
    )


def _redirect_target(request: Request) -> str | None:
    """Return the intended path of a URL without version or with a trailing slash.

    Anything but a path (such as ``*``) never becomes part of a ``Location``.
    """
    state, path = state_of(request.registry), request.path_info or "/"
    root = f"/{request.registry.route_prefix}"
    if not path.startswith("/"):
        return None
    if root != "/" and not f"{path}/".startswith(f"{root}/"):
        if not state.redirects_to_version or _VERSION.match(path):
            return None
        return f"{request.script_name}{root}{quote(path)}"
    if not state.redirects_slash:
        return None
    if path == root and root != "/":
        return f"{request.path}/"
    # Without a version, leading slashes would turn the first segment into a host.
    target = quote(f"/{path.strip('/')}")
    is_redirected = path.endswith("/") and path not in ("/", f"{root}/")
    return f"{request.script_name}{target}" if is_redirected else None


@exception_view_config(context=httpexceptions.HTTPException)
def http_exception(context: Any, request: Request) -> Any:
    """Add an error body to a raised response; redirections remain unchanged."""
    if context.status_code == 503:
        return service_unavailable(context, request)
    if is_json(context) or context.status_code < 400:
        return reapply_cors(request, context)
    return reapply_cors(request, _formatted(context))


def method_not_allowed(context: Any, request: Request) -> Any:
    """Return a 405; the ``Allow`` header of the exception is kept."""
    return http_exception(context, request)


def service_unavailable(response: Response, request: Request) -> Any:
    """Return a 503 with ``Retry-After``; a JSON body is kept."""
    if not is_json(response):
        http_error(
            response,
            errno=ERRORS.BACKEND,
            message="Service temporary unavailable due to overloading or maintenance, "
            "please retry later.",
        )
    seconds = request.registry.settings["retry_after_seconds"]
    response.headers.setdefault("Retry-After", str(seconds))
    return _with_cors(request, response)


def _formatted(response: Response, details: object = None) -> Any:
    errno, message = _DEFAULTS.get(response.status_code, (ERRORS.UNDEFINED, None))
    message = message or response.detail or response.explanation or None
    return http_error(response, errno=errno, message=message, details=details)


def _with_cors(request: Request, response: Response) -> Any:
    """Add the CORS headers to an error response.

    Pages of other origins can read the errors of resources. For other services, they only
    learn that the request failed, as in 3.1.
    """
    service = request.current_service
    if service is not None and not hasattr(service, "viewset"):
        origin = request.environ.pop("HTTP_ORIGIN", None)
        reapply_cors(request, response)
        if origin is not None:
            request.environ["HTTP_ORIGIN"] = origin
        return response
    return reapply_cors(request, response)


@exception_view_config(context=UnicodeDecodeError)
def not_utf8(context: UnicodeDecodeError, request: Request) -> Any:
    """Return a 400 if the URL isn't encoded in UTF-8."""
    if isinstance(context, URLDecodeError):
        location = "path"
    elif not _is_utf8(request.query_string):
        location = "querystring"
    else:
        return error(context, request)
    return _bad_request(request, location, "Should be encoded in UTF-8")


@exception_view_config(context=DisconnectionError)
def incomplete_body(context: DisconnectionError, request: Request) -> Any:
    """Return a 400 if the body is incomplete, although the client might not read it."""
    return _bad_request(request, "body", "Should be complete")


def _bad_request(request: Request, location: str, description: str) -> Any:
    add_error(request, location, description=description)
    return reapply_cors(request, json_error_handler(request))


def _is_utf8(query: str) -> bool:
    try:
        unquote_to_bytes(query).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@exception_view_config(context=Exception)
def error(context: Any, request: Request) -> Any:
    """Return a 503 for a failure of a backend, and a 500 for a bug.

    The traceback goes to the log, not to the client.
    """
    if isinstance(context, httpexceptions.HTTPException):
        return http_exception(context, request)
    _log(context, request)
    if isinstance(context, BackendError):
        return service_unavailable(httpexceptions.HTTPServiceUnavailable(), request)
    response = http_error(
        httpexceptions.HTTPInternalServerError(),
        errno=ERRORS.UNDEFINED,
        message="A programmatic error occured, developers have been informed.",
        info=request.registry.settings["error_info_link"] or None,
    )
    return _with_cors(request, response)


def _log(error: Any, request: Request) -> None:
    """Log a failure once: that of a sub-request also fails its batch.

    A database that is down fails every request: that is logged once per minute.
    """
    if will_retry(request):
        logger.info("Retrying the request: %s", error)
        return
    bound_data = getattr(request, "bound_data", {})
    if bound_data.get("logged_error") is not error:
        bound_data["logged_error"] = error
        forget_variables(error)
        message = str(error) or type(error).__name__
        if not isinstance(error, BackendError):
            logger.error("%s", message, exc_info=error)
        elif not error.outage:
            logger.critical("%s", message, exc_info=error)
        elif should_log(request.registry, error.outage):
            logger.critical(
                "%s is unavailable; logged once per minute: %s",
                error.outage,
                " ".join(message.split()),
                exc_info=error,
                show_traceback=False,
            )

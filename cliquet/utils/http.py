"""Sub-requests, which batches and applications send to the application itself."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from cornice import cors
from pyramid.httpexceptions import HTTPException
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from webob import Response as WebObResponse
from webob.request import BaseRequest

from cliquet.utils import json
from cliquet.utils.text import decode_header, encode_header, setting_list

#: Response headers that pages of other origins can read.
EXPOSED_HEADERS = ("Backoff", "Retry-After", "Alert", "Content-Length", "Vary")

#: Maximum number of redirections of a sub-request.
MAX_REDIRECTIONS = 5

#: Prefixes of the WSGI variables that sub-requests inherit.
_INHERITED = (
    "HTTP_",
    "wsgi.",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "REMOTE_ADDR",
    "REMOTE_USER",
)
#: WSGI variables that dummy requests lack.
_LOCAL = {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
_BODY_HEADERS = ("CONTENT-LENGTH", "TRANSFER-ENCODING")
_PATH_SAFE = "/?&=%:@!$'()*+,;~[]"


def current_service(request: Any) -> Any:
    """Return the Cornice service of the request, or None."""
    route = getattr(request, "matched_route", None)
    if not route:
        return None
    services = request.registry.cornice_services
    # Like cornice.util.current_service(), but for mocks of routes too.
    return services.get(route.pattern, services.get(f"__cornice{route.name}"))


def current_resource_name(request: Any) -> str:
    """Return the name of the resource of the request.

    :raises AttributeError: if the request isn't for a resource.
    """
    service = current_service(request)
    name: str = service.viewset.get_name(service.resource)
    return name


def resource_services(registry: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name of each resource with each of its services."""
    for service in getattr(registry, "cornice_services", {}).values():
        if hasattr(service, "viewset"):
            yield service.viewset.get_name(service.resource), service


def reapply_cors(request: Any, response: Response) -> Any:
    """Add the CORS headers to a new response, and return it."""
    service = current_service(request)
    if service:
        request.info["cors_checked"] = False
        cors.apply_cors_post_request(service, request, response)
        return response
    origin = request.headers.get("Origin")
    if origin:
        allowed = setting_list(request.registry.settings["cors_origins"])
        if any(fnmatchcase(decode_header(origin), pattern) for pattern in allowed):  # as Cornice
            response.headers["Access-Control-Allow-Origin"] = encode_header(origin)
    response.headers["Access-Control-Expose-Headers"] = ",".join(EXPOSED_HEADERS)
    return response


def depends_on_origin(origins: Collection[str]) -> bool:
    """Return whether ``Access-Control-Allow-Origin`` depends on the request.

    Origins are shell patterns, as in the setting ``cors_origins``.
    """
    if "*" in origins or not origins:
        return False
    return len(origins) > 1 or any(wildcard in "".join(origins) for wildcard in "*?[")


def add_vary(response: Response, name: str) -> None:
    """Add the name of a request header to ``Vary``, unless it contains it."""
    vary = response.headers.get("Vary")
    if not vary:
        response.headers["Vary"] = name
    elif name.lower() not in (each.strip().lower() for each in vary.split(",")):
        response.headers["Vary"] = f"{vary}, {name}"


def is_preflight(request: Any) -> bool:
    """Return True for a CORS preflight request (Fetch, "CORS-preflight request")."""
    environ = request.environ
    return (
        request.method == "OPTIONS"
        and bool(environ.get("HTTP_ORIGIN"))
        and bool(environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD"))
    )


def preflight_response(request: Any) -> Response:
    """Return a preflight response that allows the requested method and headers."""
    response: Response = reapply_cors(request, Response(status=200))
    response.headers["Access-Control-Allow-Methods"] = request.headers[
        "Access-Control-Request-Method"
    ]
    names = request.headers.get("Access-Control-Request-Headers")
    if names:
        response.headers["Access-Control-Allow-Headers"] = names
    return response


def is_json(response: Response) -> bool:
    """Return whether a response has a JSON body."""
    return response.content_type == JSON and bool(response.body)


def path_text(request: Any) -> str:
    """Return the path of a request, decoded as far as possible."""
    environ = request.environ
    raw = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return str(raw.encode("latin-1", "replace").decode("utf-8", "replace"))


def _with_version_prefix(original: Any, path: str) -> str:
    """Return ``path`` with the version prefix of the API, that of ``original`` if it is a mock."""
    version = original.registry.route_prefix
    if not isinstance(version, str):
        version = original.upath_info.split("/")[1]
    prefix = f"/{version}".rstrip("/")
    return path if path.startswith(prefix) else prefix + path


def _environ_of(original: Any) -> dict[str, Any]:
    """Return the WSGI environment of a request, or one with its headers if it is a mock."""
    environ = original.environ
    if isinstance(environ, dict):
        return environ
    headers = {name: decode_header(value) for name, value in original.headers.items()}
    return dict(Request.blank("/", headers=headers).environ)


def expose_headers(request: Any, *names: str) -> None:
    """Let scripts of other origins read further headers of the response to a request."""

    def add(request: Any, response: Any) -> None:
        exposed = filter(None, (response.headers.get(_EXPOSED), *names))
        response.headers[_EXPOSED] = ", ".join(exposed)

    request.add_response_callback(add)


_EXPOSED = "Access-Control-Expose-Headers"

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
#: The media types of bodies that describe changes, instead of the fields that change.
PARTIAL_TYPES = (MERGE_PATCH, JSON_PATCH)

_TYPE = "CONTENT-TYPE"


def build_request(original: object, dict_obj: Mapping[str, Any]) -> Any:
    """Return a request on behalf of ``original``.

    :param dict_obj: ``path`` (with or without the version prefix), and
        optionally ``method`` (GET), ``headers`` (added to those of
        ``original``) and ``body``: a JSON value, which is sent as
        ``application/json`` whatever the headers, unless these select a
        format of PATCH; or bytes or a string,
        sent unchanged with the type of the headers or of ``original``.
    """
    return build_requests(original, [dict_obj])[0]


def build_requests(original: object, dict_objs: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return several requests as :func:`build_request` does."""
    environ = _environ_of(original)
    inherited = {
        **_LOCAL,
        **{key: value for key, value in environ.items() if key.startswith(_INHERITED)},
        "SCRIPT_NAME": environ.get("SCRIPT_NAME", ""),
        "CONTENT_TYPE": environ.get("CONTENT_TYPE", ""),
    }
    return [_build_request(original, inherited, each) for each in dict_objs]


def _build_request(original: object, inherited: dict[str, Any], dict_obj: Mapping[str, Any]) -> Any:
    path, _, query = _with_version_prefix(original, dict_obj["path"]).partition("?")
    payload, content_type = _payload(dict_obj.get("body"))
    if content_type is not None and is_partial_update(dict_obj):
        content_type = content_type_of(dict_obj)
    environ = {
        **inherited,
        "REQUEST_METHOD": str(dict_obj.get("method") or "GET").upper(),
        "PATH_INFO": unquote(path, "latin-1") if path.isascii() else _wsgi_path(path),
        "QUERY_STRING": quote(query, safe=_PATH_SAFE),
        "CONTENT_TYPE": content_type or inherited["CONTENT_TYPE"],
        "CONTENT_LENGTH": str(len(payload)),
        "wsgi.input": io.BytesIO(payload),
        "webob.is_body_seekable": True,  # otherwise WebOb copies it, to a file if it is large
    }
    request = _request_class(original)(environ)
    for name, value in (dict_obj.get("headers") or {}).items():
        # Compare like WebOb: some non-ASCII letters have ASCII capitals.
        is_type_of_json = content_type is not None and name.upper() == _TYPE
        if name.upper() not in _BODY_HEADERS and not is_type_of_json:
            request.headers[name] = decode_header(value)
    return attach_to_parent(original, request)


def content_type_of(dict_obj: Mapping[str, Any]) -> str:
    """Return the media type in the ``headers`` of a request, empty if it has none."""
    headers = dict_obj.get("headers") or {}
    types = [decode_header(text) for name, text in headers.items() if name.upper() == _TYPE]
    return types[-1].partition(";")[0].strip().lower() if types else ""


def is_partial_update(dict_obj: Mapping[str, Any]) -> bool:
    """Return whether a request is a PATCH in one of :data:`PARTIAL_TYPES`."""
    is_patch = str(dict_obj.get("method")).upper() == "PATCH"
    return is_patch and content_type_of(dict_obj) in PARTIAL_TYPES


def _payload(body: object) -> tuple[bytes, str | None]:
    """Return the bytes of a body, and its type unless it is the original's."""
    if body is None:
        return b"", None
    if isinstance(body, (bytes, str)):
        return body if isinstance(body, bytes) else body.encode(), None
    # An empty value means an empty body.
    return json.dumps_ascii(body).encode() if body else b"", JSON


def _wsgi_path(path: str) -> str:
    """Return the path in the encoding of WSGI: UTF-8 bytes as latin-1 (PEP 3333)."""
    return unquote(quote(path, safe=_PATH_SAFE), "latin-1")


def _request_class(request: Any) -> type:
    return type(request) if isinstance(request, Request) else Request


def is_subrequest(request: Any) -> bool:
    """Return whether a request belongs to another one, such as a batch.

    A mock isn't a parent: it has one itself, and so on.
    """
    return isinstance(getattr(request, "parent", None), BaseRequest)


def attach_to_parent(original: Any, request: Any) -> Any:
    """Attach ``request`` to its parent: same application, same bound data."""
    request.registry = original.registry
    request.parent = original
    bound_data = getattr(original, "bound_data", None)
    if bound_data is not None:
        request.bound_data = bound_data
    return request


# Larger JSON bodies in a batch are not parsed, but included as they are.
_LARGE_BODY = 1 << 16


def build_response(response: Response, request: Any) -> dict[str, Any]:
    """Return the JSON description of ``response`` in the response of a batch."""
    return _description(response, request, _value(response))


def describe_response(response: Response, request: Any) -> dict[str, Any]:
    """Describe a response like :func:`build_response`, with large JSON unparsed."""
    rendered: bytes = getattr(response, "rendered", b"")
    if len(rendered) < _LARGE_BODY or rendered is not response.body:
        return build_response(response, request)
    return _description(response, request, json.fragment(rendered))


def _value(response: Response) -> Any:
    """Return the value of a JSON body, or the body as a string."""
    body = response.body
    if is_mock(response):
        return _mocked_value(response, body)
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def _mocked_value(response: Any, body: object) -> Any:
    """Return the value of the body of a mock, which can have any type."""
    try:
        return response.json
    except ValueError:
        return body


def is_mock(response: object) -> bool:
    """Return whether a response is a mock, returned by a mocked request in a unit test."""
    return not isinstance(response, WebObResponse)


def _description(response: Response, request: Any, body: object) -> dict[str, Any]:
    return {
        "path": path_text(request),
        "status": response.status_code,
        "headers": dict(response.headers.items()),  # dict(headers) looks up each name slowly
        "body": "" if request.method == "HEAD" else body,
    }


def follow_subrequest(request: Any, subrequest: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Send a sub-request, and follow redirections to this service.

    :param kwargs: for ``request.invoke_subrequest``.
    :returns: the response, and the last request.
    :raises pyramid.httpexceptions.HTTPException: an HTTP error that a view raises or returns,
        with the error body of this service.
    :raises Exception: an unexpected failure, unchanged.
    """
    for _ in range(MAX_REDIRECTIONS):
        response = _invoke(request, subrequest, **kwargs)
        redirected = _redirection(subrequest, response)
        if redirected is None:
            break
        subrequest = redirected
    if isinstance(response, HTTPException) and response.status_code >= 400:
        raise response
    return response, subrequest


def _invoke(request: Any, subrequest: Any, **kwargs: Any) -> Response:
    try:
        return request.invoke_subrequest(subrequest, **kwargs)
    except Exception as error:
        if not isinstance(getattr(subrequest, "registry", None), Registry):  # in a unit test
            raise
        response = subrequest.invoke_exception_view(request=subrequest)
        if response.status_code >= 500 and not isinstance(error, HTTPException):
            raise error
        return response


def _redirection(subrequest: Any, response: Response) -> Any:
    """Return the request for a redirection to this service, or None."""
    if is_mock(response):
        return None
    is_redirection = 300 <= response.status_code < 400
    location = response.headers.get("Location") if is_redirection else None
    if not location:
        return None
    try:
        target = urlsplit(location)
    except ValueError:  # not a URL
        return None
    if target.netloc and not _is_same_host(target, subrequest):
        return None
    followed = subrequest.copy()
    path = unquote(target.path, "latin-1")
    followed.environ["PATH_INFO"] = path.removeprefix(followed.environ["SCRIPT_NAME"])
    followed.environ["QUERY_STRING"] = target.query
    return attach_to_parent(subrequest, followed)


def _is_same_host(target: SplitResult, request: Any) -> bool:
    """Return whether a URL has the host of a request; the default port is optional."""
    default = {"http": ":80", "https": ":443"}.get(target.scheme or request.scheme, "")
    host: str = request.host
    return target.netloc.removesuffix(default) == host.removesuffix(default)

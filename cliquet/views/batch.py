"""Batch endpoint: several requests in one ``POST /batch`` (protocol, "Batch")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import colander
from pyramid import httpexceptions
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet import events, logs, transactions
from cliquet.errors import ERRORS, add_error, http_error, raise_invalid
from cliquet.http.limits import budget_of, limits_of, too_large
from cliquet.http.request import is_host
from cliquet.http.service import Service, is_type_refused, json_object, validate
from cliquet.resource.schema import StrictBoolean
from cliquet.settings.types import BOOLEAN, LIMIT
from cliquet.types import Registry, Request
from cliquet.utils import build_request as build_request
from cliquet.utils import build_response as build_response
from cliquet.utils import json, merge_dicts
from cliquet.utils.http import (
    JSON_PATCH,
    build_requests,
    content_type_of,
    describe_response,
    is_mock,
    is_partial_update,
    is_subrequest,
)
from cliquet.utils.schemas import JSONMapping
from cliquet.views import descriptions

logger = logs.summary_logger

METHODS = ("GET", "HEAD", "DELETE", "TRACE", "POST", "PUT", "PATCH")

#: Maximum length of the path of a request, in bytes of UTF-8, before it is decoded.
MAX_PATH_LENGTH = 8192


valid_http_method = colander.OneOf(METHODS)


def string_values(node: colander.SchemaNode, cstruct: Mapping[str, Any]) -> None:
    """Validate that the values of a mapping are strings.

    :raises colander.Invalid: if one of them isn't.
    """
    if not all(isinstance(item, str) for item in cstruct.values()):
        raise colander.Invalid(node, f"{cstruct} contains non string value")


def _valid_host(node: colander.SchemaNode, cstruct: Mapping[str, Any]) -> None:
    """Validate the ``Host`` as that of other requests, because URLs are built from it."""
    for name, value in cstruct.items():
        if name.upper() == "HOST" and value and not is_host(value):
            raise colander.Invalid(node, "Host should be a host name, with or without a port")


def _short(node: colander.SchemaNode, value: str) -> None:
    if len(value.encode("utf-8")) > MAX_PATH_LENGTH:
        raise colander.Invalid(node, f"Longer than {MAX_PATH_LENGTH} bytes")


_valid_path = colander.All(colander.Regex("^/"), _short)


def _is_json_patch(item: object) -> bool:
    """Return whether a request has a list of operations as its body."""
    if not isinstance(item, dict) or not isinstance(item.get("body"), list):
        return False
    headers = item.get("headers")
    is_valid = isinstance(headers, dict) and all(isinstance(each, str) for each in headers.values())
    return is_valid and is_partial_update(item) and content_type_of(item) == JSON_PATCH


class _Body(colander.Mapping):
    """The type of request bodies, which colander would copy needlessly."""

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        return cstruct if isinstance(cstruct, dict) else super().deserialize(node, cstruct)


class BatchRequestSchema(colander.MappingSchema):
    """A request of a batch."""

    method = colander.SchemaNode(
        colander.String(), validator=valid_http_method, missing=colander.drop
    )
    path = colander.SchemaNode(colander.String(), validator=_valid_path)
    headers = colander.SchemaNode(
        colander.Mapping(unknown="preserve"),
        validator=colander.All(string_values, _valid_host),
        missing=colander.drop,
    )
    body = colander.SchemaNode(_Body(unknown="preserve"), missing=colander.drop)

    schema_type = JSONMapping

    def deserialize(self, cstruct: Any = colander.null) -> Any:
        if not _is_json_patch(cstruct):
            return super().deserialize(cstruct)
        others = {key: value for key, value in cstruct.items() if key != "body"}
        return {**super().deserialize(others), "body": cstruct["body"]}


class _DefaultsSchema(BatchRequestSchema):
    """Default values of the requests."""

    path = colander.SchemaNode(colander.String(), validator=_valid_path, missing=colander.drop)


class BatchPayloadSchema(colander.MappingSchema):
    """The body of a batch: ``defaults`` are merged into every request."""

    defaults = _DefaultsSchema(missing=colander.drop)
    requests = colander.SchemaNode(colander.Sequence(), BatchRequestSchema())
    atomic = colander.SchemaNode(StrictBoolean(), missing=False)

    def deserialize(self, cstruct: Any = colander.null) -> Any:
        defaults = cstruct.get("defaults")
        requests = cstruct.get("requests")
        if defaults is None:
            cstruct = {key: value for key, value in cstruct.items() if key != "defaults"}
        elif isinstance(defaults, dict) and isinstance(requests, list):
            merged = [_merged(request, defaults) for request in requests]
            cstruct = {**cstruct, "requests": merged}
        return super().deserialize(cstruct)


def _merged(item: object, defaults: dict[str, Any]) -> Any:
    if isinstance(item, dict):
        item = dict(item)
        merge_dicts(item, defaults)
    return item


batch = Service(name="batch", path="/batch", description="Batch operations")


_payload_schema = BatchPayloadSchema()


def _validator(request: Request, **kwargs: Any) -> None:
    """Validate the body, unless it has too many requests to merge ``defaults`` into."""
    body = json_object(request)
    requests = body.get("requests")
    limit = LIMIT.get(request.registry.settings, "batch_max_requests")
    if limit and isinstance(requests, list) and len(requests) > limit:
        add_error(request, "body", "requests", f"Number of requests is limited to {limit}")
    elif not is_type_refused(request):
        _check_merged_size(request, body)
        validate(request, _payload_schema, body)


def _check_merged_size(request: Request, body: Mapping[str, Any]) -> None:
    """Check that the requests, with the defaults, respect the limits of a body."""
    defaults, requests = body.get("defaults"), body.get("requests")
    if not (isinstance(defaults, dict) and isinstance(requests, list)):
        return
    limits = limits_of(request.registry)
    text, copied = json.dumps_bytes(body), json.dumps_bytes(defaults)
    # Most batches are far below the limits, as an upper bound shows without merging.
    most_values = json.most_values(text) + len(requests) * json.most_values(copied)
    most_bytes = len(text) + len(requests) * len(copied)
    if most_values <= limits.max_values and most_bytes <= limits.max_body_bytes:
        return
    merged = [_merged(item, defaults) for item in requests]
    # The body and its list are values too.
    if json.has_more_values(merged, limits.max_values - 1):
        description = f"More than {limits.max_values} values with defaults (setting max_values)"
        raise_invalid(request, name="defaults", description=description)
    if len(json.dumps_bytes(merged)) > limits.max_body_bytes:
        limit = f"{limits.max_body_bytes} bytes (setting max_body_bytes)"
        raise too_large(f"The requests with their defaults are larger than {limit}")


@batch.post(
    validators=(_validator,),
    permission=NO_PERMISSION_REQUIRED,
    openapi=descriptions.batch(METHODS),
)
def post_batch(request: Request) -> Any:
    """Send the requests one by one, in one transaction."""
    requests = request.validated["requests"]
    if is_subrequest(request) or any(_is_batch(item["path"]) for item in requests):
        raise_invalid(
            request,
            name="requests",
            description=f"Recursive call on {batch.path} endpoint is forbidden.",
        )
    is_atomic = request.validated.get("atomic")
    send = _send_atomically if is_atomic else _send_each
    try:
        responses = send(request, build_requests(request, requests))
    finally:
        logs.bind_summary(path=batch.path, batch_size=len(requests))
    # Servers without atomic batches ignore the member of the request, and return no such member.
    return {"responses": responses, "atomic": True} if is_atomic else {"responses": responses}


def _send_each(request: Request, subrequests: list[Any]) -> list[dict[str, Any]]:
    """Send the sub-requests, each of which can fail without the others."""
    return [describe_response(*_send_within_budget(request, each)) for each in subrequests]


def _send_atomically(request: Request, subrequests: list[Any]) -> list[dict[str, Any]]:
    """Send the sub-requests, and undo all of them if one fails."""
    txn = transactions.current()
    if txn is None or not _supports_rollback(request.registry):
        description = "The backends of this service can't undo requests."
        raise_invalid(request, name="atomic", description=description)
    savepoint = txn.savepoint(optimistic=True)
    notifications = events.count_notifications(request)
    responses: list[dict[str, Any]] = []
    for position, subrequest in enumerate(subrequests):
        response, final = _send_within_budget(request, subrequest)
        responses.append(describe_response(response, final))
        if response.status_code >= 400:
            savepoint.rollback()
            events.forget_notifications(request, notifications)
            undone = [_undone(each) for each in subrequests]
            return [*undone[:position], responses[position], *undone[position + 1 :]]
    return responses


def _supports_rollback(registry: Registry) -> bool:
    """Return whether the changes of a request can be undone."""
    backends = [getattr(registry, name, None) for name in ("storage", "permission")]
    return BOOLEAN.get(registry.settings, "transaction_per_request", True) and all(
        backend is None or backend.supports_rollback for backend in backends
    )


def _undone(subrequest: Any) -> dict[str, Any]:
    """Return the response to a sub-request of an atomic batch that failed."""
    error = http_error(
        httpexceptions.HTTPFailedDependency(),
        errno=ERRORS.FAILED_DEPENDENCY,
        message="Another request of the batch failed.",
    )
    return describe_response(error, subrequest)


def _send_within_budget(request: Request, subrequest: Any) -> tuple[Any, Any]:
    """Send a sub-request, unless the batch has reached a limit."""
    budget = budget_of(request)
    spent = budget.spent()
    if spent is None:
        response, subrequest = _send(request, subrequest)
        logs.log_subrequest(logger, subrequest, response)
    else:
        response = too_large(f"The batch has reached its limit (setting {spent})")
    if not is_mock(response):
        budget.respond(len(response.body))
    return response, subrequest


def _is_batch(path: str) -> bool:
    return batch.path in unquote(path)


def _send(request: Request, subrequest: Any) -> tuple[Any, Any]:
    """Send a sub-request, and return its response and the final request.

    :raises Exception: an unexpected failure, which fails the whole batch.
    """
    txn = transactions.current()
    # Also for GET: views can write, for example to create defaults.
    savepoint = None if txn is None else txn.savepoint(optimistic=True)
    notifications = events.count_notifications(request)
    try:
        response, subrequest = request.follow_subrequest(subrequest, use_tweens=False)
    except httpexceptions.HTTPException as error:
        response = error
    if is_mock(response):
        return response, subrequest
    if response.status_code >= 400:
        events.forget_notifications(request, notifications)
        if savepoint is not None:
            savepoint.rollback()
    return _with_body(response), subrequest


def _with_body(response: Response) -> Any:
    """Return a response; an HTTP exception without a body gets an error body."""
    is_exception = isinstance(response, httpexceptions.HTTPException)
    if not is_exception or response.status_code == 304 or response.body:
        return response
    return http_error(response, message=response.detail)

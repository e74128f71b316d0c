"""Several requests in one: ``POST /batch`` (protocol, "Batch")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import colander
from pyramid import httpexceptions
from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet import events, logs, transactions
from cliquet.errors import add_error, has_errors, raise_invalid
from cliquet.service import Service, json_object, validate
from cliquet.settings import integer_or_none
from cliquet.utils import build_request, build_response, merge_dicts, strip_uri_prefix

METHODS = ("GET", "HEAD", "DELETE", "TRACE", "POST", "PUT", "PATCH")
_SAFE_METHODS = ("GET", "HEAD", "TRACE")

#: Longest path of a request, in bytes of UTF-8, before it is decoded.
MAX_PATH_LENGTH = 8192


def _string_values(node: colander.SchemaNode, value: Mapping[str, Any]) -> None:
    if not all(isinstance(item, str) for item in value.values()):
        raise colander.Invalid(node, f"{value} contains non string value")


def _short(node: colander.SchemaNode, value: str) -> None:
    if len(value.encode("utf-8")) > MAX_PATH_LENGTH:
        raise colander.Invalid(node, f"Longer than {MAX_PATH_LENGTH} bytes")


class BatchRequestSchema(colander.MappingSchema):
    """One of the requests."""

    method = colander.SchemaNode(
        colander.String(), validator=colander.OneOf(METHODS), missing=colander.drop
    )
    path = colander.SchemaNode(
        colander.String(), validator=colander.All(colander.Regex("^/"), _short)
    )
    headers = colander.SchemaNode(
        colander.Mapping(unknown="preserve"), validator=_string_values, missing=colander.drop
    )
    body = colander.SchemaNode(colander.Mapping(unknown="preserve"), missing=colander.drop)


class BatchPayloadSchema(colander.MappingSchema):
    """The body of a batch: ``defaults`` are merged under every request."""

    defaults = colander.SchemaNode(colander.Mapping(unknown="preserve"), missing=colander.drop)
    requests = colander.SchemaNode(colander.Sequence(), BatchRequestSchema())

    def deserialize(self, cstruct: Any = colander.null) -> Any:
        defaults = cstruct.get("defaults")
        requests = cstruct.get("requests")
        if isinstance(defaults, dict) and isinstance(requests, list):
            merged = [_merged(request, defaults) for request in requests]
            cstruct = {**cstruct, "requests": merged}
        return super().deserialize(cstruct)


def _merged(request: Any, defaults: dict[str, Any]) -> Any:
    if isinstance(request, dict):
        request = dict(request)
        merge_dicts(request, defaults)
    return request


batch = Service(name="batch", path="/batch", description="Batch operations")


def _validator(request: Any, schema: Any = None, **kwargs: Any) -> None:
    """Validate the body, unless it has too many requests: ``defaults`` is copied into each."""
    body = json_object(request)
    requests = body.get("requests")
    limit = integer_or_none(request.registry.settings["batch_max_requests"])
    if limit is not None and isinstance(requests, list) and len(requests) > limit:
        add_error(request, "body", "requests", f"Number of requests is limited to {limit}")
    if not has_errors(request):
        validate(request, schema, body)


@batch.post(
    schema=BatchPayloadSchema(), validators=(_validator,), permission=NO_PERMISSION_REQUIRED
)
def post_batch(request: Any) -> Any:
    """Send the requests one after the other, in one transaction."""
    requests = request.validated["requests"]
    if hasattr(request, "parent") or any(_is_batch(item["path"]) for item in requests):
        raise_invalid(
            request,
            name="requests",
            description=f"Recursive call on {batch.path} endpoint is forbidden.",
        )
    logs.bind_summary(batch_size=len(requests))
    responses = []
    for item in requests:
        response, subrequest = _answer(request, build_request(request, item))
        logs.log_subrequest(subrequest, response)
        if response.status_code >= 500:
            return _failed(request, response)
        responses.append(build_response(response, subrequest))
    return {"responses": responses}


def _failed(request: Any, response: Any) -> Any:
    """Return the failure of a sub-request, which is that of the batch: nothing is written."""
    events.forget_notifications(request, 0)
    txn = transactions.current()
    if txn is not None:
        txn.doom()
    return response


def _is_batch(path: str) -> bool:
    return strip_uri_prefix(unquote(path.partition("?")[0])).rstrip("/") == batch.path


def _answer(request: Any, subrequest: Any) -> tuple[Any, Any]:
    """Return the answer to a sub-request; what is refused leaves nothing behind.

    :raises Exception: what fails: it fails the batch.
    """
    txn = None if subrequest.method in _SAFE_METHODS else transactions.current()
    savepoint = None if txn is None else txn.savepoint(optimistic=True)
    notifications = events.count_notifications(request)
    try:
        response, subrequest = request.follow_subrequest(subrequest, use_tweens=False)
    except httpexceptions.HTTPException as error:
        if error.status_code >= 500:
            raise
        response = error
    if response.status_code >= 400:
        events.forget_notifications(request, notifications)
        if savepoint is not None:
            savepoint.rollback()
    return response, subrequest

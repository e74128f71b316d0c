"""Types of the objects that Pyramid passes to functions: requests, registries and their settings.

Pyramid and Cornice carry no types. These protocols list the attributes that the toolkit uses.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

#: Settings of an application, by key.
Settings = MutableMapping[str, Any]


class Registry(Protocol):
    """The registry of an application, which holds everything that belongs to it."""

    settings: Any
    route_prefix: Any
    #: The backends; missing if the settings name none.
    storage: Any
    permission: Any
    cache: Any
    #: Generator of record ids.
    id_generator: Any
    #: Health checks by name.
    heartbeats: Any
    #: Keys of the settings that the hello view shows.
    public_settings: set[str]
    #: Capabilities that the hello view shows, by name.
    api_capabilities: dict[str, dict[str, Any]]
    statsd: Any
    prometheus: Any
    #: Attributes of Pyramid and Cornice.
    adapters: Any
    cornice_services: dict[str, Any]

    def notify(self, *events: Any) -> None: ...
    def queryUtility(self, provided: Any, name: str = "", default: Any = None) -> Any: ...
    def getUtility(self, provided: Any, name: str = "") -> Any: ...
    def registeredHandlers(self) -> Any: ...
    def registerUtility(self, *args: Any, **options: Any) -> None: ...
    def unregisterUtility(self, *args: Any, **options: Any) -> bool: ...


class Request(Protocol):
    """An HTTP request, with the attributes that the toolkit adds to Pyramid's."""

    __dict__: dict[str, Any]

    registry: Registry
    environ: dict[str, Any]
    response: Any
    context: Any
    tm: Any

    # The URL
    method: str
    scheme: str
    host: str
    script_name: str
    path: str
    path_info: str
    path_url: str
    query_string: str
    matchdict: Any
    GET: Any

    # Headers and body
    headers: Any
    accept: Any
    content_type: Any
    content_length: int | None
    body: bytes
    body_file: Any
    body_file_raw: Any
    is_body_readable: bool
    is_body_seekable: bool
    json: Any

    # Cornice
    validated: dict[str, Any]
    errors: Any
    info: dict[str, Any]
    localizer: Any

    # Authentication (protocol, "Authentication")
    authenticated_userid: str | None
    authn_type: str | None
    #: None for anonymous users.
    prefixed_userid: Any
    selected_userid: str | None
    effective_principals: Any
    identity_in_question: Any
    _basicauth: Any

    # Cliquet
    bound_data: dict[str, Any]
    current_service: Any
    current_resource_name: str
    log_context: Any
    log_start: float
    request_id: str

    def make_body_seekable(self) -> None: ...
    def route_url(self, route_name: str, *elements: Any, **options: Any) -> str: ...
    def has_permission(self, permission: str, context: Any = None) -> Any: ...
    def get_user_info(self) -> dict[str, Any]: ...
    def invoke_subrequest(self, request: Any, use_tweens: bool = False) -> Any: ...
    def follow_subrequest(self, subrequest: Any, **options: Any) -> Any: ...
    def notify_resource_event(self, *args: Any, **options: Any) -> None: ...
    def add_response_callback(self, callback: Callable[[Any, Any], Any]) -> None: ...
    def add_finished_callback(self, callback: Callable[[Any], Any]) -> None: ...

"""The reference of the Python API has every public name, and nothing that is private."""

import importlib
import inspect
import re

import pytest

from tests.docs.pages import DOCS
from tests.test_names import NAMES, resolve

PAGE = DOCS / "reference" / "python-api.rst"
DIRECTIVE = re.compile(r"^\.\. (module|(?:auto)?(?:class|function|data|exception)):: (\w.*)$")

#: Names that applications and plugins import.
PUBLIC = {
    "cliquet": """
        initialize initialize_cliquet includeme load_default_settings install_middlewares
        DEFAULT_SETTINGS PROTOCOL_VERSION __version__ logger Service follow_subrequest
        current_service current_resource_name add_api_capability
    """,
    "cliquet.asgi": "application",
    "cliquet.resource": """
        register register_resource UserResource BaseResource ShareableResource Model ShareableModel
        ViewSet ShareableViewSet
    """,
    "cliquet.resource.schema": "ResourceSchema PermissionsSchema TimeStamp URL",
    "cliquet.storage": "StorageBase Filter Sort heartbeat",
    "cliquet.storage.exceptions": "BackendError RecordNotFoundError IntegrityError UnicityError",
    "cliquet.storage.generators": "Generator UUID4",
    "cliquet.permission": "PermissionBase heartbeat",
    "cliquet.cache": "CacheBase heartbeat",
    "cliquet.openapi": "extend_openapi exclude_from_openapi",
    "cliquet.errors": "ERRORS http_error raise_invalid json_error_handler send_alert",
    "cliquet.events": """
        ACTIONS ResourceRead ResourceChanged AfterResourceRead AfterResourceChanged
        notify_resource_event get_resource_events
    """,
    "cliquet.listeners": "ListenerBase",
    "cliquet.authentication": "prefixed_userid BasicAuthAuthenticationPolicy",
    "cliquet.authorization": "RouteFactory AuthorizationPolicy groupfinder DYNAMIC PRIVATE",
    "cliquet.logs": "ClassicLogRenderer MozillaHekaRenderer",
    "cliquet.statsd": "Client statsd_count load_from_config",
    "cliquet.utils": """
        strip_whitespace msec_time classname merge_dicts random_bytes_hex native_value read_env
        encode64 decode64 hmac_digest dict_subset COMPARISON reapply_cors build_request
        build_response encode_header decode_header strip_uri_prefix json_serializer
    """,
    "cliquet.utils.json": "loads dumps",
    "cliquet.client": """
        Changes Client Resource Records Batch Operations Response Request new_id AsyncClient
        AsyncResource AsyncRecords AsyncBatch ClientError TransportError ProtocolError BackoffError
        ResponseError InvalidParameters Unauthorized Forbidden NotFound MethodNotAllowed Conflict
        Gone PreconditionFailed TooManyRequests ServerError ServiceUnavailable BatchError
        AlertWarning
    """,
    "cliquet.testing": """
        DummyRequest get_request_class FormattedErrorMixin get_user_headers
    """,
}

#: Names that the page describes in a sentence.
IN_SENTENCES = {
    "cliquet.resource": """
        ProtectedResource ProtectedModel ProtectedViewSet ResourceSchema Filter Sort COMPARISON
    """,
    "cliquet.utils": "follow_subrequest current_service current_resource_name",
}

#: Methods that Colander, Pyramid and the transaction package call.
OF_OTHERS = {
    *("schema_type", "preparer", "principals_allowed_by_permission"),
    *("sortKey", "tpc_begin", "commit", "tpc_vote", "tpc_finish", "tpc_abort", "abort"),
    *("savepoint",),
}


def described():
    """The module and the name of each object that the page describes, and the directive."""
    module = None
    for line in PAGE.read_text().splitlines():
        match = DIRECTIVE.match(line)
        if match and match[1] == "module":
            module = match[2]
        elif match:
            yield module, match[2].partition("(")[0], match[1]


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_described(module):
    names = {name for place, name, _ in described() if place == module}
    assert set(PUBLIC[module].split()) - names == set()


@pytest.mark.parametrize("module", IN_SENTENCES)
def test_other_names_are_described(module):
    text = PAGE.read_text()
    for name in IN_SENTENCES[module].split():
        assert f"``{name}``" in text
        assert hasattr(importlib.import_module(module), name)


def test_described_objects_exist_are_public_and_have_docstrings():
    for module, name, directive in described():
        found = getattr(importlib.import_module(module), name)
        assert not name.startswith("_") or name == "__version__"
        if directive.startswith("auto") and callable(found):
            assert found.__doc__ and found.__doc__[0].isupper(), (module, name)
            assert [] == undocumented(found)


def undocumented(found):
    """The public methods of a class that have no docstring: the page would lack them."""
    if not inspect.isclass(found):
        return []
    methods = inspect.getmembers_static(found, inspect.isfunction)
    return [
        method.__qualname__
        for name, method in methods
        if method.__module__.partition(".")[0] == "cliquet"
        and not name.startswith("_")
        and name not in OF_OTHERS
        and not inspect.getdoc(getattr(found, name))
    ]


WORDS = set(re.findall(r"\w+", PAGE.read_text()))


def test_each_name_of_3_1_is_on_the_page():
    missing = [
        dotted
        for dotted in (line.partition("(")[0] for line in NAMES)
        if set(dotted.split(".")) - WORDS - documented_by_their_class(dotted)
    ]
    assert missing == []


def documented_by_their_class(dotted):
    """Return the name of a method that has a docstring, which autodoc puts on the page."""
    path, _, name = dotted.rpartition(".")
    method = resolve(dotted)
    is_public = inspect.isroutine(method) and not name.startswith("_")
    return {name} if is_public and inspect.isclass(resolve(path)) else set()


#: Names that differ in 3.1, or were only on the configurator.
ELSEWHERE_IN_3_1 = {
    *("cliquet.__version__", "cliquet.add_api_capability"),
    *("cliquet.utils.json.dumps", "cliquet.utils.json.loads"),
}


def directives():
    """Yield the module and the name of each described object, and whether it is marked as new.

    A mark right after the directive of a module counts for all its objects.
    """
    module, module_is_new = "", False
    for block in re.split(r"\n(?=\.\. \w)", PAGE.read_text()):
        match = DIRECTIVE.match(block.partition("\n")[0])
        if block.startswith(".. versionadded:: 3.2"):
            module_is_new = True
        elif match and match[1] == "module":
            module, module_is_new = match[2], False
        elif match:
            is_new = module_is_new or "\n    .. versionadded:: 3.2" in block
            yield module, match[2].partition("(")[0], is_new


def test_names_that_3_1_did_not_have_are_marked():
    names = {line.partition("(")[0] for line in NAMES}
    old = names | {name.rpartition(".")[0] for name in names} | ELSEWHERE_IN_3_1
    for module, name, is_new in directives():
        assert is_new == (f"{module}.{name}" not in old), (module, name)

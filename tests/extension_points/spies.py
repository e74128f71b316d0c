"""Classes that override one method, as applications written for 3.1 do, and note its calls."""

import copy
import inspect
import re

from pyramid import httpexceptions

from cliquet.errors import http_error
from tests.test_names import NAMES

#: The parameters that each method had, by its dotted name.
PARAMETERS = dict(line.rstrip(")").split("(") for line in NAMES if "(" in line)
# The engines had other parameters than the base class, and requests use these.
PARAMETERS["cliquet.storage.StorageBase.delete"] += ", last_modified="
for _name in ("create", "update"):
    PARAMETERS[f"cliquet.storage.StorageBase.{_name}"] = PARAMETERS[
        f"cliquet.storage.memory.Storage.{_name}"
    ]  # What the class doesn't define, or defined otherwise, but applications did.
PARAMETERS["cliquet.authorization.AuthorizationPolicy.get_bound_permissions"] = (
    "self, object_uri, permission"
)
PARAMETERS["cliquet.authorization.RouteFactory.get_shared_ids"] = (
    "self, permission, principals, get_bound_permissions="
)
PARAMETERS["cliquet.listeners.ListenerBase.__call__"] = "self, event"
for _name in ("UserResource", "Model"):
    PARAMETERS[f"cliquet.resource.{_name}.__init__"] = (
        f"self, {PARAMETERS[f'cliquet.resource.{_name}']}"
    )

_KINDS = {
    "": inspect.Parameter.POSITIONAL_OR_KEYWORD,
    "*": inspect.Parameter.VAR_POSITIONAL,
    "**": inspect.Parameter.VAR_KEYWORD,
}


def is_method(owner, name):
    return inspect.isfunction(inspect.getattr_static(owner, name))


def signature_of_3_1(owner, name):
    """Return the signature that a method of a class had; the defaults are those of today."""
    method = getattr(owner, name)
    today = {} if method is None else inspect.signature(method).parameters
    parameters = []
    for text in _listed(owner, name).split(", "):
        stars, bare = re.fullmatch(r"(\**)(\w+)=?", text).groups()
        default = today[bare].default if text.endswith("=") else inspect.Parameter.empty
        parameters.append(inspect.Parameter(bare, _KINDS[stars], default=default))
    return inspect.Signature(parameters)


def _listed(owner, name):
    """Return the parameters in the list of names, of the class or of one that it derives from."""
    for base in owner.__mro__:
        package = base.__module__.rpartition(".")[0]
        for module in (base.__module__, package):
            parameters = PARAMETERS.get(f"{module}.{base.__name__}.{name}")
            if parameters is not None:
                return parameters
    raise LookupError(f"{owner.__name__}.{name} isn't in names.txt")


class Calls(list):
    """The calls of an override: the name of the method and the arguments of each.

    While ``refuse`` is true, the override raises.
    """

    refuse = False

    def note(self, name, arguments):
        self.append((name, {key: _copy(value) for key, value in arguments.items()}))
        if self.refuse:
            raise http_error(httpexceptions.HTTPForbidden(), message="Refused")


def _copy(value):
    """Return what a caller can't change any more."""
    return copy.copy(value) if isinstance(value, list | dict) else value


def override(owner, *names, calls):
    """Return a subclass that overrides methods, with the parameters that they had.

    The overrides note each call, and call the original methods with arguments by position.
    """
    overrides = {name: _override(owner, name, calls) for name in names}
    return type(f"Own{owner.__name__}", (owner,), overrides)


def _override(owner, name, calls):
    signature = signature_of_3_1(owner, name)
    original = getattr(owner, name)

    def method(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        self, *others = bound.args
        calls.note(name, dict(list(bound.arguments.items())[1:]))
        return None if original is None else original(self, *others, **bound.kwargs)

    method.__name__ = name
    method.__signature__ = signature
    return method

"""Checks of OpenAPI documents, and of responses against the document that describes them."""

import functools
import json
import operator
import re

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = "urn:document"
REFERENCE = re.compile(r'"\$ref": "#/components/(\w+)/([^"]+)"')


class DocumentValidator:
    """A validator of OpenAPI documents, which validates equal parts of several documents once.

    A part is a path or a component, with the components that it refers to.
    """

    def __init__(self):
        self._valid = set()

    def validate(self, document):
        """Raise an exception unless the document is a valid one."""
        operation_ids = [
            operation["operationId"]
            for item in document["paths"].values()
            for method, operation in item.items()
            if method != "parameters"
        ]
        assert len(operation_ids) == len(set(operation_ids)), operation_ids
        sources = {
            (kind, name): json.dumps(part, sort_keys=True)
            for kind, parts in {"paths": document["paths"], **document["components"]}.items()
            for name, part in parts.items()
        }
        closures = {key: self._closure(key, sources) for key in sources}
        new = {key: closure for key, closure in closures.items() if closure not in self._valid}
        wanted = {key for closure in new.values() for key, _ in closure}
        validate(self._reduce(document, wanted))
        self._valid.update(new.values())

    def _closure(self, key, sources):
        """Return the sources of a part and of the components that it refers to."""
        keys, pending = {key}, [key]
        while pending:
            referred = set(REFERENCE.findall(sources[pending.pop()])) - keys
            assert referred <= set(sources), referred
            keys |= referred
            pending += referred
        return frozenset((key, sources[key]) for key in keys)

    def _reduce(self, document, wanted):
        """Return the document without the parts that are not wanted, but with every scheme."""
        components = {
            kind: {
                name: part
                for name, part in parts.items()
                if (kind, name) in wanted or kind == "securitySchemes"
            }
            for kind, parts in document["components"].items()
        }
        paths = {
            path: item for path, item in document["paths"].items() if ("paths", path) in wanted
        }
        return {**document, "paths": paths, "components": components}


class OpenAPIChecker:
    """A WSGI application around another one, which checks that each response is documented.

    :param document: the OpenAPI document of the application.
    :param prefix: of its URLs.
    :param ignored: statuses that aren't checked.
    """

    def __init__(self, app, document, prefix, ignored=frozenset()):
        self._ignored = ignored
        self._app = app
        self._document = document
        self._prefix = prefix
        resource = Resource(contents=document, specification=DRAFT202012)
        self._registry = Registry().with_resource(DOCUMENT, resource)
        self._paths = {
            path: re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
            for path in sorted(document["paths"], reverse=True)
        }

    def __call__(self, environ, start_response):
        started = []

        def start(status, headers, exc_info=None):
            started[:] = [int(status[:3]), dict(headers)]
            return start_response(status, headers, exc_info)

        body = b"".join(self._app(environ, start))
        self._check(environ["REQUEST_METHOD"].lower(), environ["PATH_INFO"], *started, body)
        return [body]

    def _check(self, method, url, status, headers, body):
        path = url.removeprefix(self._prefix)
        matching = [name for name, regex in self._paths.items() if regex.fullmatch(path)]
        if path == url or not matching or status in self._ignored:
            return
        item = self._document["paths"][matching[0]]
        if method not in item:
            assert status in (405, 410), (method, url, status)
            return
        responses = item[method]["responses"]
        assert str(status) in responses, (method, url, status, body)
        response, place = self._follow(
            responses[str(status)], "paths", matching[0], method, "responses", str(status)
        )
        self._check_headers(response, headers)
        if body and method != "head":
            assert "content" in response, (method, url, status, body)
            self._check_body((*place, "content", "application/json", "schema"), body)

    def _check_headers(self, response, headers):
        for name, header in response.get("headers", {}).items():
            header, place = self._follow(header)
            assert name in headers or not header["required"], (name, headers)
            if name in headers:
                is_string = header["schema"]["type"] == "string"
                value = headers[name] if is_string else json.loads(headers[name])
                Draft202012Validator(header["schema"]).validate(value)

    def _check_body(self, place, body):
        pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in place)
        schema = {"$ref": f"{DOCUMENT}#/{pointer}"}
        Draft202012Validator(schema, registry=self._registry).validate(json.loads(body))

    def _follow(self, value, *place):
        """Return what a reference refers to, and its place in the document."""
        if "$ref" not in value:
            return value, place
        place = value["$ref"].removeprefix("#/").split("/")
        return functools.reduce(operator.getitem, place, self._document), place

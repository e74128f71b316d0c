"""Whether answers are those that a document describes."""

import functools
import json
import operator
import re

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = "urn:document"


class Described:
    """A WSGI application around another one, which judges each of its answers.

    :param document: the OpenAPI document of the application.
    :param prefix: of its URLs.
    :param ignored: statuses that aren't judged.
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
        self._judge(environ["REQUEST_METHOD"].lower(), environ["PATH_INFO"], *started, body)
        return [body]

    def _judge(self, method, url, status, headers, body):
        path = url.removeprefix(self._prefix)
        found = [known for known, regex in self._paths.items() if regex.fullmatch(path)]
        if path == url or not found or status in self._ignored:
            return
        item = self._document["paths"][found[0]]
        if method not in item:
            assert status in (405, 410), (method, url, status)
            return
        responses = item[method]["responses"]
        assert str(status) in responses, (method, url, status, body)
        response, place = self._followed(
            responses[str(status)], "paths", found[0], method, "responses", str(status)
        )
        self._judge_headers(response, headers)
        if body and method != "head":
            assert "content" in response, (method, url, status, body)
            self._judge_body((*place, "content", "application/json", "schema"), body)

    def _judge_headers(self, response, headers):
        for name, header in response.get("headers", {}).items():
            header, place = self._followed(header)
            assert name in headers or not header["required"], (name, headers)
            if name in headers:
                is_text = header["schema"]["type"] == "string"
                value = headers[name] if is_text else json.loads(headers[name])
                Draft202012Validator(header["schema"]).validate(value)

    def _judge_body(self, place, body):
        pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in place)
        schema = {"$ref": f"{DOCUMENT}#/{pointer}"}
        Draft202012Validator(schema, registry=self._registry).validate(json.loads(body))

    def _followed(self, value, *place):
        """What a reference refers to, and where that is."""
        if "$ref" not in value:
            return value, place
        place = value["$ref"].removeprefix("#/").split("/")
        return functools.reduce(operator.getitem, place, self._document), place

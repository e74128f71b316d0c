"""Applications that tests use one after the other."""

import os
from collections import OrderedDict

import structlog

#: Those of a few test files: more would take too much memory.
KEPT = 20


class Applications:
    """Applications by their keys, whose backends are emptied before each use."""

    def __init__(self, kept=KEPT):
        self._kept = kept
        self._built = OrderedDict()

    def clear(self):
        """Forget the applications, so that the next test gets a new one."""
        self._built.clear()

    def get(self, key, build):
        """Return the application of a key, built the first time.

        :param build: function that returns an object with the attribute ``registry``.
        """
        variables = {**os.environ, "PYTEST_CURRENT_TEST": ""}
        key = repr(sorted(variables.items())), key
        if key in self._built:
            app, logs = self._built[key]
            structlog.configure(**logs)
            for kind in ("storage", "permission", "cache"):
                getattr(app.registry, kind).flush()
            return app
        app = build()
        self._built[key] = app, structlog.get_config()
        if len(self._built) > self._kept:
            self._built.popitem(last=False)
        return app

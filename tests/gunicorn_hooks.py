"""Hooks of gunicorn in tests: a worker reports that it is ready.

A worker that has only just been forked loses a SIGTERM: it serves on until gunicorn kills it, half
a minute later.
"""

import sys

READY = "a worker is ready"


def post_worker_init(worker):
    print(READY, file=sys.stderr, flush=True)

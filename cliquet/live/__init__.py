"""Streams of changes, served by :mod:`cliquet.asgi`."""

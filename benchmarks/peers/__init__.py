"""Comparison with the same resource written by hand on FastAPI and on Django REST Framework."""

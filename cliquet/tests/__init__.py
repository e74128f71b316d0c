"""Helpers that the tests of applications and plugins import from where 3.1 had them."""

"""Comparison with the same resource written by hand on other frameworks."""

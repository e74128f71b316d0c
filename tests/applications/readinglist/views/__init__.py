"""The resources of the reading list."""

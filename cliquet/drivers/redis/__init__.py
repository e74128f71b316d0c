"""Redis connections."""

"""HTTP layer: services, dispatching, request bodies and renderers."""

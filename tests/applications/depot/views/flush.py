"""An endpoint for test instances, enabled by the setting ``flush_endpoint_enabled``."""

from pyramid.security import NO_PERMISSION_REQUIRED

from cliquet import Service

flush = Service(name="flush", path="/__flush__", description="Delete everything")


@flush.post(permission=NO_PERMISSION_REQUIRED)
def flush_post(request):
    request.registry.storage.flush()
    request.registry.permission.flush()
    request.registry.cache.flush()
    request.response.status = 202
    return {}

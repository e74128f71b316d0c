"""Plugin that limits how many records each user can store."""

from pyramid.exceptions import ConfigurationError
from pyramid.httpexceptions import HTTPForbidden

import cliquet
from cliquet.errors import ERRORS, http_error
from cliquet.events import ACTIONS, ResourceChanged

DEFAULT_SETTINGS = {
    "quotas.max_records": 1000,
    "quotas.resources": "",
}

URL = "https://cliquet-quotas.example.com/"


def includeme(config):
    cliquet.load_default_settings(config, DEFAULT_SETTINGS)
    settings = config.get_settings()
    maximum = positive(settings, "quotas.max_records")
    resources = settings["quotas.resources"].split()

    config.registry.max_records = maximum
    if resources:
        config.add_subscriber(
            check_quota, ResourceChanged, for_actions=(ACTIONS.CREATE,), for_resources=resources
        )
    config.add_api_capability(
        "quotas",
        description="The number of records is limited.",
        url=URL,
        max_records=maximum,
        resources=resources,
    )
    config.scan("cliquet_quotas.views")


def positive(settings, key):
    try:
        value = int(settings[key])
    except ValueError:
        value = 0
    if value < 1:
        raise ConfigurationError(f"{key} is {settings[key]!r}: expected a positive number")
    return value


def count_records(request, resource_name):
    """Return how many records of a resource the user has."""
    storage, parent_id = request.registry.storage, request.prefixed_userid
    return storage.get_all(resource_name, parent_id, limit=1)[1]


def check_quota(event):
    """Reject a request that exceeds the quota. The request holds the lock of the collection."""
    request, maximum = event.request, event.request.registry.max_records
    if count_records(request, event.payload["resource_name"]) > maximum:
        message = f"You can store at most {maximum} records."
        raise http_error(HTTPForbidden(), errno=ERRORS.FORBIDDEN, message=message, info=URL)

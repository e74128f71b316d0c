"""A plugin that keeps a signature of each collection of some resources.

Enable it with::

    cliquet.includes = tests.applications.signing
    signing.resources = release
    signing.secret = something secret

The signatures are records of the collection ``signature``. They are written in the transaction
of the change: a change that can't be signed is refused.
"""

import hashlib
import hmac

from pyramid import httpexceptions
from pyramid.settings import aslist

import cliquet
from cliquet.errors import ERRORS, http_error
from cliquet.events import ACTIONS, ResourceChanged
from cliquet.resource import Sort
from cliquet.utils import json

DEFAULT_SETTINGS = {
    "signing.max_records": 100,
    "signing.resources": "",
    "signing.secret": "",
}


class Signer:
    def __init__(self, secret):
        self.secret = secret.encode("utf-8")

    def sign(self, records):
        """Return the signature of a list of records."""
        payload = json.dumps(records, sort_keys=True)
        return hmac.new(self.secret, payload.encode("utf-8"), hashlib.sha256).hexdigest()


def sign_collection(event):
    """Sign the collection that was changed, or refuse the change."""
    request = event.request
    storage = request.registry.storage
    parent_id = request.prefixed_userid
    resource_name = event.payload["resource_name"]

    records, total = storage.get_all(
        collection_id=resource_name, parent_id=parent_id, sorting=[Sort("id", 1)]
    )
    maximum = request.registry.settings["signing.max_records"]
    if total > maximum:
        raise http_error(
            httpexceptions.HTTPForbidden(),
            errno=ERRORS.FORBIDDEN,
            message=f"At most {maximum} records can be signed.",
        )
    signature = {
        "resource": resource_name,
        "timestamp": storage.collection_timestamp(resource_name, parent_id),
        "signature": request.registry.signer.sign(records),
    }
    storage.update(
        collection_id="signature",
        parent_id=parent_id,
        object_id=resource_name,
        record=signature,
    )


def includeme(config):
    cliquet.load_default_settings(config, DEFAULT_SETTINGS)
    settings = config.get_settings()
    if not settings["signing.secret"]:
        raise ValueError("signing.secret is required")

    config.registry.signer = Signer(settings["signing.secret"])
    config.add_api_capability("signing", description="Signed collections", url="")
    config.add_subscriber(
        sign_collection,
        ResourceChanged,
        for_actions=(ACTIONS.CREATE, ACTIONS.UPDATE, ACTIONS.DELETE),
        for_resources=tuple(aslist(settings["signing.resources"])),
    )

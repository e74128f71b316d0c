"""The resources of the server and their helpers."""

import random
import string

from pyramid import httpexceptions

from cliquet.errors import ERRORS, http_error
from cliquet.storage import exceptions, generators


class NameGenerator(generators.Generator):
    """Ids that people can choose and read."""

    regexp = r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$"

    def __call__(self):
        alphabet = string.ascii_lowercase + string.digits
        return "".join(random.choice(alphabet) for _ in range(8))


def get_or_404(request, collection_id, object_id, parent_id=""):
    """Return a parent of the requested object, or raise a 404."""
    try:
        return request.registry.storage.get(
            collection_id=collection_id, parent_id=parent_id, object_id=object_id
        )
    except exceptions.RecordNotFoundError:
        raise http_error(
            httpexceptions.HTTPNotFound(),
            errno=ERRORS.MISSING_RESOURCE,
            message=f"The {collection_id} '{object_id}' does not exist.",
        ) from None

"""Countries, identified by codes that clients choose with PUT."""

import colander

from cliquet import resource
from cliquet.storage.generators import Generator


class CountryCode(Generator):
    regexp = r"^[A-Z]{2}$"

    def __call__(self):
        raise NotImplementedError  # The resource doesn't accept POST.


class CountrySchema(resource.ResourceSchema):
    name = colander.SchemaNode(colander.String())


@resource.register(
    collection_path="/countries",
    record_path="/countries/{{id}}",
    collection_methods=("GET", "DELETE"),
)
class Country(resource.UserResource):
    mapping = CountrySchema()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.model.id_generator = CountryCode()


def includeme(config):
    config.scan(__name__)

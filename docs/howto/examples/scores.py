import colander

from cliquet import Service
from cliquet.authorization import PRIVATE


class ScoreSchema(colander.MappingSchema):
    points = colander.SchemaNode(colander.Integer())


score = Service(name="score", path="/score/{game}", description="Store game score")


@score.post(schema=ScoreSchema, permission=PRIVATE)
def post_score(request):
    collection_id = "scores-" + request.matchdict["game"]
    storage = request.registry.storage
    return storage.create(collection_id, request.prefixed_userid, request.validated)


def includeme(config):
    config.scan(__name__)

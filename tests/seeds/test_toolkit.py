"""The examples of the talk and of the article that made Cliquet known, as they are shown.

What could not run as shown is put right: ``match_dict``, and a record that has no older one.
"""

import importlib

import pytest

# The talk shows it, although 3.1 had deprecated it.
pytestmark = pytest.mark.filterwarnings("ignore:cliquet.schema.ResourceSchema is deprecated")

MYPROJECT = """
    import cliquet
    from pyramid.config import Configurator

    def main(global_config, **settings):
        config = Configurator(settings=settings)

        cliquet.initialize(config, '1.0')
        config.scan("myproject.views")
        return config.make_wsgi_app()
"""

BOOKMARKS = """
    from cliquet import resource, schema

    class BookmarkSchema(schema.ResourceSchema):
        url = schema.URL()

    @resource.register()
    class Bookmark(resource.BaseResource):
        mapping = BookmarkSchema()
"""

FIELDS = """
    import colander
    from cliquet import resource, schema

    class BookmarkSchema(resource.ResourceSchema):
        url = schema.URL()
        title = colander.SchemaNode(colander.String())
        device = colander.SchemaNode(colander.String(), missing='')

        class Options:
            readonly_fields = ('device',)
            unique_fields = ('url',)

    @resource.register()
    class Bookmark(resource.BaseResource):
        mapping = BookmarkSchema()
"""

CONTROL = """
    import colander
    from cliquet import resource, schema

    class BookmarkSchema(resource.ResourceSchema):
        url = schema.URL()
        device = colander.SchemaNode(colander.String(), missing='')

    @resource.register(collection_path='/user/bookmarks',
                       record_path='/user/bookmarks/{{id}}',
                       collection_methods=('GET',))
    class Bookmark(resource.BaseResource):
        mapping = BookmarkSchema()

        def process_record(self, new, old=None):
            if old is not None and new['device'] != old['device']:
                device = self.request.headers.get('User-Agent')
                new['device'] = device
            return new
"""

SCORES = """
    import colander
    from cliquet import Service

    class ScoreSchema(colander.MappingSchema):
        points = colander.SchemaNode(colander.Integer())

    score = Service(name="score",
                    path='/score/{game}',
                    description="Store game score")

    @score.post(schema=ScoreSchema)
    def post_score(request):
        collection_id = 'scores-' + request.matchdict['game']
        user_id = request.authenticated_userid
        value = request.validated  # c.f. Cornice.

        storage = request.registry.storage
        record = storage.create(collection_id, user_id, value)
        return record
"""

ARTICLES = """
    import colander
    from cliquet import resource, schema

    class ArticleSchema(resource.ResourceSchema):
        status = colander.SchemaNode(colander.Integer())
        added = schema.TimeStamp()

    @resource.register()
    class Article(resource.UserResource):
        mapping = ArticleSchema()
"""

URL = "http://cliquet.readthedocs.org"


@pytest.fixture
def client_of(write_modules, serve, backends):
    """A function of the source of some views, which returns a client of their application."""

    def client_of(views):
        write_modules({"myproject": MYPROJECT, "myproject.views": views})
        return serve(importlib.import_module("myproject").main, backends)

    return client_of


def test_application_describes_itself_and_is_healthy(client_of):
    client = client_of("")
    assert client.get("/v1/").json["project_version"] == "1.0"
    answer = client.get("/v1/__heartbeat__")
    assert answer.json == {"cache": True, "permission": True, "storage": True}


def test_version_can_be_given_by_name(write_modules, serve):
    source = MYPROJECT.replace("'1.0'", "version='1.0'")
    write_modules({"myproject": source, "myproject.views": ""})
    client = serve(importlib.import_module("myproject").main, {})
    assert client.get("/v1/").json["http_api_version"] == "1.0"


def test_resource_lists_posted_records(client_of):
    client = client_of(BOOKMARKS)
    posted = client.post_json("/v1/bookmarks", {"data": {"url": URL}}, status=201).json["data"]
    answer = client.get("/v1/bookmarks")
    assert answer.json == {"data": [posted]}
    assert set(posted) == {"url", "id", "last_modified"}
    assert posted["url"] == URL


def test_records_are_private_to_each_user(client_of):
    client = client_of(BOOKMARKS)
    client.post_json("/v1/bookmarks", {"data": {"url": URL}})
    client.authorization = ("Basic", ("bob", "secret"))
    assert client.get("/v1/bookmarks").json == {"data": []}


def test_url_is_validated(client_of):
    client = client_of(BOOKMARKS)
    answer = client.post_json("/v1/bookmarks", {"data": {"url": "nowhere"}}, status=400)
    assert answer.json["details"][0]["name"] == "data.url"


def test_unique_field_gives_the_record_that_has_it(client_of):
    client = client_of(FIELDS)
    body = {"data": {"url": URL, "title": "Cliquet"}}
    first = client.post_json("/v1/bookmarks", body, status=201)
    second = client.post_json("/v1/bookmarks", body, status=200)
    assert second.json == first.json


def test_readonly_field_cannot_be_modified(client_of):
    client = client_of(FIELDS)
    body = {"data": {"url": URL, "title": "Cliquet", "device": "phone"}}
    record = client.post_json("/v1/bookmarks", body).json["data"]
    path = f"/v1/bookmarks/{record['id']}"
    answer = client.patch_json(path, {"data": {"device": "desktop"}}, status=400)
    assert answer.json["message"] == "Cannot modify device"
    assert client.get(path).json["data"] == record


def test_field_without_a_default_is_required(client_of):
    client = client_of(FIELDS)
    answer = client.post_json("/v1/bookmarks", {"data": {"url": URL}}, status=400)
    assert answer.json["details"][0]["name"] == "data.title"


def test_urls_and_methods_are_those_of_the_registration(client_of):
    client = client_of(CONTROL)
    assert client.get("/v1/user/bookmarks").json == {"data": []}
    client.get("/v1/bookmarks", status=404)
    refused = client.post_json("/v1/user/bookmarks", {"data": {"url": URL}}, status=405)
    assert set(refused.headers["Allow"].split(", ")) >= {"GET", "HEAD"}


def test_record_is_processed_before_it_is_stored(client_of):
    client = client_of(CONTROL)
    path = "/v1/user/bookmarks/cc103eb5-0c80-40ec-b6f5-dad12e7d975e"
    browser = {"User-Agent": "Firefox"}
    body = {"data": {"url": URL, "device": "phone"}}
    created = client.put_json(path, body, headers=browser, status=201).json["data"]
    assert created["device"] == "phone"
    body["data"]["device"] = "desktop"
    replaced = client.put_json(path, body, headers=browser, status=200).json["data"]
    assert replaced["device"] == "Firefox"
    assert client.get("/v1/user/bookmarks").json["data"] == [replaced]


def test_view_stores_validated_data(client_of):
    client = client_of(SCORES)
    record = client.post_json("/v1/score/chess", {"points": "12", "cheat": True}).json
    assert set(record) == {"id", "last_modified", "points"}
    assert record["points"] == 12


def test_view_refuses_invalid_data(client_of):
    client = client_of(SCORES)
    answer = client.post_json("/v1/score/chess", {"points": "many"}, status=400)
    assert answer.json["errno"] == 107
    assert answer.json["details"] == [
        {"location": "body", "name": "points", "description": '"many" is not a number'}
    ]


def test_querystring_filters_sorts_and_polls(client_of):
    client = client_of(ARTICLES)
    for status, added in ((3, 10), (4, 30), (3, 20)):
        client.post_json("/v1/articles", {"data": {"status": status, "added": added}})

    def added(url):
        return [record["added"] for record in client.get(url).json["data"]]

    assert sorted(added("/v1/articles?status=3")) == [10, 20]
    assert added("/v1/articles?_sort=-added") == [30, 20, 10]
    assert len(added("/v1/articles?_since=11290876567")) == 3

"""The examples of the page about extensions: packages, a cache backend, indexing."""

import importlib

import pytest

MYPROJECT = """
    import cliquet
    from pyramid.config import Configurator


    def main(global_config, **settings):
        config = Configurator(settings=settings)

        cliquet.initialize(config, '0.0.1')
        config.scan("myproject.views")

        return config.make_wsgi_app()
"""

INCLUDING = MYPROJECT.replace(
    "        return", "        config.include('cliquet_elasticsearch')\n\n        return"
)

PACKAGE = """
    import cliquet
    from pyramid.settings import asbool


    DEFAULT_SETTINGS = {
        'cliquet_elasticsearch.refresh_enabled': False
    }


    def includeme(config):
        cliquet.load_default_settings(config, DEFAULT_SETTINGS)
        settings = config.get_settings()

        refresh_enabled = settings['cliquet_elasticsearch.refresh_enabled']

        config.add_route('refresh', '/refresh')
        config.add_view(lambda request: {'enabled': asbool(refresh_enabled)},
                        route_name='refresh', renderer='json')
"""

OTHER_PACKAGE = """
    def includeme(config):
        settings = config.get_settings()
        config.registry.toolbar = settings['project_name']
"""

# In the place of the driver: buckets in memory.
RIAK_DRIVER = """
    class RiakClient:
        def __init__(self, pb_port):
            self.pb_port = pb_port
            self.buckets = {}

        def bucket(self, name):
            return self.buckets.setdefault(name, Bucket())


    class Bucket:
        def __init__(self):
            self.values = {}

        def new(self, key, data):
            return Item(self, key, data)

        def get(self, key):
            return Item(self, key, self.values.get(key))

        def delete(self, key):
            self.values.pop(key, None)


    class Item:
        def __init__(self, bucket, key, data):
            self.bucket, self.key, self.data = bucket, key, data

        def store(self):
            self.bucket.values[self.key] = self.data
"""

RIAK_CACHE = """
    from urllib import parse as urlparse

    from cliquet.cache import CacheBase
    from riak import RiakClient


    class Riak(CacheBase):
        def __init__(self, **kwargs):
            self._client = RiakClient(**kwargs)
            self._bucket = self._client.bucket('cache')

        def set(self, key, value, ttl=None):
            key = self._bucket.new(key, data=value)
            key.store()

        def get(self, key):
            fetched = self._bucket.get(key)
            return fetched.data

        def delete(self, key):
            self._bucket.delete(key)

        def initialize_schema(self):
            pass


    def load_from_config(config):
        settings = config.get_settings()
        uri = settings['cliquet.cache_url']
        uri = urlparse.urlparse(uri)

        return Riak(pb_port=uri.port or 8087)
"""

# In the place of the driver: a dictionary.
ELASTICSEARCH_DRIVER = """
    class ElasticsearchException(Exception):
        pass


    class Elasticsearch:
        def __init__(self, hosts):
            self.documents = {}

        def index(self, index, doc_type, id, body, refresh):
            self.documents[index, id] = body

        def search(self, index, doc_type, body):
            if not body:
                raise ElasticsearchException('no query')
            found = [document for (name, _), document in self.documents.items()
                     if name == index and body.decode() in document['title']]
            return {'hits': found}
"""

INDEXING = {
    "elasticsearch_driver": ELASTICSEARCH_DRIVER,
    "cliquet_indexing": """
        DEFAULT_BACKEND = 'cliquet_indexing.elasticsearch'

        def includeme(config):
            settings = config.get_settings()
            backend = settings.get('cliquet.indexing_backend', DEFAULT_BACKEND)
            indexer = config.maybe_dotted(backend)

            # Store indexer instance in registry.
            config.registry.indexer = indexer.load_from_config(config)

            # Activate end-points.
            config.scan('cliquet_indexing.views')
    """,
    "cliquet_indexing.views": """
        from cornice import Service

        search = Service(name="search",
                         path='/search/{collection_id}/',
                         description="Search")

        @search.post()
        def get_search(request):
            collection_id = request.matchdict['collection_id']
            query = request.body

            # Access indexer from views using registry.
            indexer = request.registry.indexer
            results = indexer.search(collection_id, query)

            return results
    """,
    "cliquet_indexing.elasticsearch": """
        import elasticsearch_driver as elasticsearch
        from elasticsearch_driver import ElasticsearchException
        from cliquet import logger

        class Indexer(object):
            def __init__(self, hosts):
                self.client = elasticsearch.Elasticsearch(hosts)

            def search(self, collection_id, query, **kwargs):
                try:
                    return self.client.search(index=collection_id,
                                              doc_type=collection_id,
                                              body=query,
                                              **kwargs)
                except ElasticsearchException as e:
                    logger.error(e)
                    raise

            def index_record(self, collection_id, record, id_field):
                record_id = record[id_field]
                try:
                    index = self.client.index(index=collection_id,
                                              doc_type=collection_id,
                                              id=record_id,
                                              body=record,
                                              refresh=True)
                    return index
                except ElasticsearchException as e:
                    logger.error(e)
                    raise

        def load_from_config(config):
            return Indexer(hosts=['localhost'])
    """,
    # In the page, `create_record` passes `self` twice.
    "cliquet_indexing.resource": """
        import cliquet

        class IndexedModel(cliquet.resource.Model):
            def create_record(self, record):
                r = super(IndexedModel, self).create_record(record)

                self.indexer.index_record(self.collection_id, r, self.id_field)

                return r

        class IndexedResource(cliquet.resource.UserResource):
            default_model = IndexedModel

            def __init__(self, request):
                super(IndexedResource, self).__init__(request)
                self.model.indexer = request.registry.indexer
    """,
    "myproject.views": """
        import colander
        from cliquet import resource
        from cliquet_indexing.resource import IndexedResource

        class ArticleSchema(resource.ResourceSchema):
            title = colander.SchemaNode(colander.String())

        @resource.register()
        class Article(IndexedResource):
            mapping = ArticleSchema()
    """,
}


@pytest.fixture
def client_of(write_modules, serve):
    """A function of settings and sources, which returns a client of ``myproject``."""

    def client_of(settings, sources):
        write_modules({"myproject": MYPROJECT, "myproject.views": "", **sources})
        return serve(importlib.import_module("myproject").main, settings)

    return client_of


def test_package_can_be_included_by_the_application(client_of):
    client = client_of({}, {"myproject": INCLUDING, "cliquet_elasticsearch": PACKAGE})
    assert client.get("/v0/refresh").json == {"enabled": False}


def test_packages_can_be_included_by_a_setting(client_of):
    settings = {"cliquet.includes": "cliquet_elasticsearch\n    cliquet_toolbar"}
    client = client_of(
        settings, {"cliquet_elasticsearch": PACKAGE, "cliquet_toolbar": OTHER_PACKAGE}
    )
    assert client.get("/v0/refresh").json == {"enabled": False}
    assert client.app.registry.toolbar == "myproject"


def test_setting_of_a_package_comes_from_the_file(client_of):
    settings = {"cliquet_elasticsearch.refresh_enabled": "true"}
    client = client_of(settings, {"myproject": INCLUDING, "cliquet_elasticsearch": PACKAGE})
    assert client.get("/v0/refresh").json == {"enabled": True}


def test_setting_of_a_package_comes_from_the_environment_first(client_of, monkeypatch):
    monkeypatch.setenv("CLIQUET_ELASTICSEARCH_REFRESH_ENABLED", "true")
    settings = {"cliquet_elasticsearch.refresh_enabled": "false"}
    client = client_of(settings, {"myproject": INCLUDING, "cliquet_elasticsearch": PACKAGE})
    assert client.get("/v0/refresh").json == {"enabled": True}


@pytest.mark.parametrize(
    "settings, environment, port",
    [
        ({"cliquet.cache_url": "riak://localhost:8888"}, {}, 8888),
        ({"cache_url": "riak://localhost:8888"}, {}, 8888),
        ({"myproject.cache_url": "riak://localhost:8888"}, {}, 8888),
        ({}, {"CLIQUET_CACHE_URL": "riak://localhost:8888"}, 8888),
        ({}, {}, 8087),
    ],
)
def test_external_cache_backend_works(client_of, monkeypatch, settings, environment, port):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = {**settings, "cliquet.cache_backend": "cliquet_riak.cache"}
    client = client_of(settings, {"riak": RIAK_DRIVER, "cliquet_riak.cache": RIAK_CACHE})
    assert client.get("/v0/__heartbeat__").json == {"cache": True}
    cache = client.app.registry.cache
    assert cache._client.pb_port == port
    cache.set("key", {"any": ["value"]}, ttl=10)
    assert cache.get("key") == {"any": ["value"]}


def test_package_indexes_the_records_of_its_resources(client_of, backends):
    settings = {"cliquet.includes": "cliquet_indexing", **backends}
    client = client_of(settings, INDEXING)
    for title in ("Hello world", "Good night"):
        client.post_json("/v0/articles", {"data": {"title": title}}, status=201)
    hits = client.post("/v0/search/article/", "Hello").json["hits"]
    assert [record["title"] for record in hits] == ["Hello world"]
    assert hits[0] in client.get("/v0/articles").json["data"]


def test_package_that_fails_is_an_error_like_any_other(client_of, backends):
    settings = {"cliquet.includes": "cliquet_indexing", **backends}
    client = client_of(settings, INDEXING)
    answer = client.post("/v0/search/article/", "", status=500)
    assert answer.json["errno"] == 999

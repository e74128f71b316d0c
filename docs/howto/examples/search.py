"""Full-text search, with an index that polls collections for changes like a client."""

import json
import sqlite3
from contextlib import closing

from cliquet import Service, load_default_settings
from cliquet.authorization import PRIVATE
from cliquet.errors import raise_invalid
from cliquet.events import AfterResourceChanged
from cliquet.storage import Filter
from cliquet.utils import COMPARISON

SCHEMA = """
CREATE TABLE IF NOT EXISTS followed (
    resource TEXT, parent TEXT, timestamp INTEGER NOT NULL, PRIMARY KEY (resource, parent));
CREATE VIRTUAL TABLE IF NOT EXISTS documents USING fts5 (
    resource UNINDEXED, parent UNINDEXED, id UNINDEXED, text);
"""


class Index:
    """Full-text index in an SQLite file."""

    def __init__(self, path):
        self._path = path
        with closing(self._connect()) as connection:
            connection.executescript(SCHEMA)

    def _connect(self):
        return sqlite3.connect(self._path, timeout=10, isolation_level=None)

    def follow(self, storage, resource, parent):
        """Index the changes of a collection since the last indexed timestamp."""
        with closing(self._connect()) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            collection = (resource, parent)
            row = connection.execute(
                "SELECT timestamp FROM followed WHERE resource = ? AND parent = ?", collection
            ).fetchone()
            since = Filter("last_modified", row[0] if row else 0, COMPARISON.GT)
            page = storage.get_page(*collection, filters=[since], include_deleted=True)
            for record in page.records:
                connection.execute(
                    "DELETE FROM documents WHERE resource = ? AND parent = ? AND id = ?",
                    (*collection, record["id"]),
                )
                if not record.get("deleted"):
                    text = json.dumps(record, ensure_ascii=False)
                    row = (*collection, record["id"], text)
                    connection.execute("INSERT INTO documents VALUES (?, ?, ?, ?)", row)
            connection.execute(
                "INSERT OR REPLACE INTO followed VALUES (?, ?, ?)", (*collection, page.timestamp)
            )

    def search(self, resource, parent, words, limit=20):
        """Return the ids of the records that contain all words, best match first."""
        query = " ".join('"{}"'.format(word.replace('"', '""')) for word in words.split())
        with closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT id FROM documents"
                " WHERE documents MATCH ? AND resource = ? AND parent = ? ORDER BY rank LIMIT ?",
                (query, resource, parent, limit),
            ).fetchall()
        return [record_id for (record_id,) in rows]


search = Service(name="search", path="/search/{resource_name}", description="Full-text search")


@search.get(permission=PRIVATE)
def get_search(request):
    words = request.GET.get("q", "").strip()
    if not words:
        raise_invalid(request, "querystring", "q", "Required")
    resource, parent = request.matchdict["resource_name"], request.prefixed_userid
    ids = request.registry.search_index.search(resource, parent, words)
    records, _ = request.registry.storage.get_all(
        resource, parent, filters=[Filter("id", ids, COMPARISON.IN)]
    )
    return {"data": sorted(records, key=lambda record: ids.index(record["id"]))}


def index_changes(event):
    registry, payload = event.request.registry, event.payload
    registry.search_index.follow(registry.storage, payload["resource_name"], payload["user_id"])


def includeme(config):
    load_default_settings(config, {"search.path": "search.sqlite", "search.resources": ""})
    settings = config.get_settings()
    config.registry.search_index = Index(settings["search.path"])
    resources = settings["search.resources"].split()
    if resources:  # an empty list would mean all resources
        config.add_subscriber(index_changes, AfterResourceChanged, for_resources=resources)
    config.add_cornice_service(search)
    config.add_api_capability("search", description="Full-text search", resources=resources)

"""Imports lines of JSON into the backends of a configuration.

Each line has one of these forms. Records are in the order of ``last_modified``:

{"collection_id": "article", "parent_id": "basicauth:3f2a", "record": {"id": …, "last_modified": …}}
{"collection_id": "article", "parent_id": "basicauth:3f2a", "record": {…, "deleted": true}}
{"collection_id": "article", "parent_id": "basicauth:3f2a", "record": {…}, "data": {other fields}}
{"object_id": "/articles/ID", "permissions": {"write": ["basicauth:3f2a"]}}
{"user_id": "basicauth:3f2a", "principals": ["group:editors"]}
"""

import argparse
import json
import sys

from pyramid.paster import bootstrap


def store_record(registry, item):
    place = item["collection_id"], item["parent_id"]
    record = {**item.get("data", {}), **item["record"]}
    if not record.get("deleted"):
        registry.storage.create(*place, record)
        return
    # Only an existing record can be deleted.
    registry.storage.create(*place, {"id": record["id"]})
    registry.storage.delete(*place, record["id"], last_modified=record["last_modified"])


def store_permissions(registry, item):
    registry.permission.replace_object_permissions(item["object_id"], item["permissions"])


def store_principals(registry, item):
    for principal in item["principals"]:
        registry.permission.add_user_principal(item["user_id"], principal)


STORE = {
    "record": store_record,
    "permissions": store_permissions,
    "principals": store_principals,
}


def main(argv=None):
    parser = argparse.ArgumentParser(description="Import records and permissions.")
    parser.add_argument("ini", help="configuration file of the service")
    parser.add_argument(
        "dump", type=argparse.FileType(encoding="utf-8"), help="file with the lines of JSON"
    )
    options = parser.parse_args(argv)
    with bootstrap(options.ini) as environment, options.dump as lines:
        for number, line in enumerate(lines, 1):
            item = json.loads(line)
            try:
                (store,) = [STORE[key] for key in STORE if key in item]
                store(environment["registry"], item)
            except Exception as error:
                return f"line {number}: {type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main())

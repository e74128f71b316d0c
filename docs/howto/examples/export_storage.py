"""Prints the data of a service as lines of JSON, for import_dump.py. Runs with Cliquet 3.1 too.

Usage: python export_storage.py CONFIGURATION COLLECTIONS USERS

COLLECTIONS is a JSON file: a list of [collection_id, parent_id, path], where the path is that of
the collection's URL without the version, such as "/articles", or null if its records have no
permissions. USERS is a JSON file: a list of the users who belong to groups.
"""

import json
import sys

from pyramid.paster import bootstrap


def lines_of_collection(registry, collection_id, parent_id, path):
    """Yield the records and tombstones, and the permissions of the records."""
    found, _ = registry.storage.get_all(collection_id, parent_id, include_deleted=True)
    for record in sorted(found, key=lambda record: record["last_modified"]):
        yield {"collection_id": collection_id, "parent_id": parent_id, "record": record}
        if path and not record.get("deleted"):
            yield line_of_object(registry, path + "/" + record["id"])
    if path:
        yield line_of_object(registry, path)


def line_of_object(registry, object_id):
    permissions = registry.permission.object_permissions(object_id)
    lists = {name: sorted(principals) for name, principals in permissions.items()}
    return {"object_id": object_id, "permissions": lists}


def main(ini, collections, users):
    registry = bootstrap(ini)["registry"]
    with open(collections) as file:
        for place in json.load(file):
            for line in lines_of_collection(registry, *place):
                print(json.dumps(line))
    with open(users) as file:
        for user_id in json.load(file):
            principals = sorted(registry.permission.user_principals(user_id))
            print(json.dumps({"user_id": user_id, "principals": principals}))


if __name__ == "__main__":
    main(*sys.argv[1:])

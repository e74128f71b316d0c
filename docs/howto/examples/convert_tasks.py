"""Convert the stored tasks to the current schema.

Usage: python convert_tasks.py CONFIGURATION
"""

import sys

import colander
from myservice import TaskSchema
from pyramid.paster import bootstrap

from cliquet.storage import Filter, Sort
from cliquet.utils import COMPARISON

PAGE = 1000


def convert(task):
    """Return a task of the previous schema as one of the current schema."""
    return {"priority": "low" if task["done"] else "normal", **task}


def read_all(storage, parent_id):
    """Yield the tasks of a user, in the order of their timestamps."""
    rules, tasks = [], []
    while not rules or len(tasks) == PAGE:
        tasks, _ = storage.get_all(
            "task",
            parent_id,
            sorting=[Sort("last_modified", 1)],
            pagination_rules=rules,
            limit=PAGE,
        )
        yield from tasks
        last = tasks[-1]["last_modified"] if tasks else 0
        rules = [[Filter("last_modified", last, COMPARISON.GT)]]


def main(ini):
    storage, schema = bootstrap(ini)["registry"].storage, TaskSchema()
    number = converted = 0
    for parent_id in storage.get_parents("task"):
        # A list, because updated tasks move to the end of the order.
        for task in list(read_all(storage, parent_id)):
            number += 1
            try:
                schema.deserialize(task)
            except colander.Invalid:
                new = schema.deserialize(convert(task))
                storage.update("task", parent_id, task["id"], {**new, "id": task["id"]})
                converted += 1
    print(f"{converted} of {number} tasks converted")


if __name__ == "__main__":
    main(sys.argv[1])

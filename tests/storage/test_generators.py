"""Generated ids."""

import uuid
from functools import reduce
from operator import and_, or_

from cliquet.storage.generators import UUID4


def test_ids_are_random_uuids_of_version_4():
    generator = UUID4()
    ids = [generator() for _ in range(200)]
    assert all(map(generator.match, ids))
    assert [str(uuid.UUID(id_)) for id_ in ids] == ids
    assert {(uuid.UUID(id_).version, uuid.UUID(id_).variant) for id_ in ids} == {(4, uuid.RFC_4122)}
    numbers = [uuid.UUID(id_).int for id_ in ids]
    # Each of the other 122 bits takes both values; this fails by chance in 1 of 10 ** 58 runs.
    assert (reduce(or_, numbers) ^ reduce(and_, numbers)).bit_count() == 122

"""Verified copies: a copy is exactly the list that its user can read.

The same changes without checksums leave copies that are wrong, and nothing shows it. Random
histories are in ``client/test_faulty_network.py``.
"""

import pytest

from tests.engines import ENGINES, url_of
from tests.hostile_client import Client, make_app_on
from tests.verified_copies import GROUPS, SHARED, CopyHistory, Owner, Reader, user_id

WRITES = 20


@pytest.fixture(params=ENGINES)
def app(request, applications, tmp_path_factory):
    engine = request.param

    def build():
        return make_app_on(engine, url_of(engine, tmp_path_factory.mktemp("copies"), 4))

    app = applications.get(("verified copies", engine), build)
    yield app
    for kind in ("storage", "permission", "cache"):
        getattr(app.registry, kind).flush()


@pytest.fixture
def bob(app):
    return Client(app, "bob")


@pytest.fixture
def owner(app, bob):
    return Owner(Client(app, "alice"), app.registry, [bob])


def purge(owner, bob):
    gone = owner.create(readers=[bob])
    yield
    owner.delete(gone)
    owner.purge()


def unshare(owner, bob):
    record_id = owner.create(readers=[bob])
    yield
    owner.share(record_id, [])


def delete_shared(owner, bob):
    record_id = owner.create(readers=[bob])
    yield
    owner.delete(record_id)


def join_group(owner, bob):
    owner.create(readers=GROUPS)
    owner.create(readers=[bob])
    yield
    owner.join(bob)


def leave_group(owner, bob):
    owner.create(readers=GROUPS)
    owner.join(bob)
    yield
    owner.leave(bob)


def share_list(owner, bob):
    owner.create()
    owner.create(readers=[bob])
    yield
    owner.share_list(bob)


def unshare_list(owner, bob):
    owner.create()
    owner.share_list(bob)
    yield
    owner.unshare_list(bob)


def create_in_the_past(owner, bob):
    owner.create(readers=[bob])
    yield
    owner.create(readers=[bob], last_modified=5)


def flush(owner, bob):
    owner.create(readers=[bob])
    yield
    owner.flush()


def restore_a_backup(owner, bob):
    owner.create(readers=[bob])
    owner.back_up()
    owner.create(readers=[bob])
    yield
    owner.restore()
    owner.create(readers=[bob])  # the timestamp of the list is not older than before


CAUSES = [
    *(purge, unshare, delete_shared, join_group, leave_group, share_list, unshare_list),
    *(create_in_the_past, flush, restore_a_backup),
]


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
def test_copy_is_exact_after_changes_without_a_timestamp(owner, bob, cause):
    owner.create(readers=[user_id(bob)])  # without any, the list is forbidden
    happens = cause(owner, user_id(bob))
    next(happens)
    reader, naive = Reader(bob, SHARED), Reader(bob, SHARED, trusts_timestamps=True)
    for each in (reader, naive):
        each.poll()
        assert each.is_exact
    next(happens, None)
    assert reader.poll()
    naive.poll()
    assert (reader.is_exact, naive.is_exact) == (True, False)
    assert reader.copy.poll() == []
    assert reader.copy.verified


def test_copies_end_exact_after_simultaneous_writes_and_polls(app):
    history = CopyHistory(lambda user, number: Client(app, user), app.registry, writes=WRITES)
    history.play()
    assert history.faults == []
    assert history.acknowledged >= WRITES

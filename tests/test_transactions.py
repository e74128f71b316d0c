import contextvars
from concurrent.futures import ThreadPoolExecutor

import pytest
import transaction

from cliquet import transactions
from tests import testapp


class Participant(transactions.EngineDataManager):
    def __init__(self, fails=False):
        super().__init__()
        self.done = []
        self.fails = fails

    def save(self):
        if self.fails:
            raise OSError("disk full")
        self.done.append("save")

    def undo(self):
        self.done.append("undo")

    def create_savepoint(self):
        return lambda: self.done.append("rollback")


@pytest.fixture
def manager():
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    with transactions.RequestAttempt(manager):
        yield manager


def test_no_participant_exists_outside_of_a_request():
    assert transactions.current() is None
    assert transactions.participant(object(), Participant) is None
    assert transactions.current_participant(object()) is None


def test_part_is_joined_once_and_saved(manager):
    owner = object()
    assert transactions.current_participant(owner) is None
    part = transactions.participant(owner, Participant)
    assert (
        transactions.participant(owner, Participant)
        is transactions.current_participant(owner)
        is part
    )
    manager.commit()
    assert part.done == ["save"]


def test_part_is_undone_once_when_the_transaction_is_aborted(manager):
    part = transactions.participant(object(), Participant)
    manager.abort()
    assert part.done == ["undo"]


def test_part_that_cannot_be_saved_undoes_those_that_come_after(manager):
    failing = transactions.participant(object(), lambda: Participant(fails=True))
    with pytest.raises(OSError, match="disk full"):
        manager.commit()
    assert failing.done == ["undo"]


def test_savepoint_rolls_back_earlier_participants_and_ends_later_ones(manager):
    first, second = object(), object()
    part = transactions.participant(first, Participant)
    savepoint = transactions.current().savepoint()
    late = transactions.participant(second, Participant)
    savepoint.rollback()
    assert (part.done, late.done) == (["rollback"], ["undo"])
    assert transactions.participant(second, Participant) is not late


def test_nothing_is_current_once_the_application_has_ended_the_transaction(manager):
    manager.abort()
    assert transactions.current() is None


def test_request_within_a_request_has_its_own_transaction(manager):
    assert transactions.request_manager(None) is not transaction.manager
    with ThreadPoolExecutor() as another_thread:
        theirs = another_thread.submit(transactions.request_manager, None).result()
    assert theirs is transaction.manager


def test_copy_of_the_context_in_another_thread_has_no_transaction(manager):
    context = contextvars.copy_context()
    with ThreadPoolExecutor() as another_thread:
        assert another_thread.submit(context.run, transactions.current).result() is None
    assert context.run(transactions.current) is manager.get()


def test_application_can_turn_the_transaction_of_a_request_off(serve, alice):
    client = serve({"tm.activate_hook": "tests.test_transactions.never"})
    client.post_json("/spores", {"data": {}}, headers=alice)
    assert len(client.get("/spores", headers=alice).json["data"]) == 1


def never(request):
    return False


def test_participants_must_implement_their_methods():
    part = transactions.EngineDataManager()
    for method in (part.save, part.undo, part.create_savepoint):
        with pytest.raises(NotImplementedError):
            method()


def test_application_called_by_another_does_not_end_its_transaction(serve, alice):
    import webtest

    inner = webtest.TestApp(testapp.main())

    def setup(config):
        config.add_route("both", "/both")
        config.add_view(both, route_name="both", renderer="json")

    def both(request):
        storage = request.registry.storage
        storage.create("c", "p", {"id": "one"})
        inner.post_json("/v0/spores", {"data": {}}, headers=alice)
        raise ValueError("undo mine")

    client = serve(setup=setup)
    client.post_json("/both", {}, status=500)
    assert client.registry.storage.get_all("c", "p") == ([], 0)
    assert len(inner.get("/v0/spores", headers=alice).json["data"]) == 1

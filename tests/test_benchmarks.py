"""The benchmarks compare equivalent runs, and report regressions."""

import json
import sys
from contextlib import ExitStack

import pytest

from benchmarks import engines, limit, requests, toolkit
from benchmarks.equivalence import DifferentError, check
from benchmarks.limit_sqlite import Store
from benchmarks.operations import OPERATIONS, RECORDS, Collection, request, send

MEMORY = {f"cliquet.{kind}_backend": f"cliquet.{kind}.memory" for kind in engines.KINDS}


@pytest.fixture(scope="module")
def app():
    return toolkit.make_app(MEMORY)


@pytest.fixture(scope="module")
def collection(app):
    return Collection(app, "mushroom")


def result(ratio, goal=2.0):
    return requests.Result("memory", "plain", "get", 100.0, 50.0, ratio, goal)


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_limit_responds_as_the_toolkit_does(name):
    with ExitStack() as stack:
        (bench,) = engines.start(stack, [name])
        check(bench.limit_collection, bench.limit_toolkit, bench.limit)


def test_limit_with_other_responses_is_not_compared():
    with ExitStack() as stack:
        (bench,) = engines.start(stack, ["sqlite"])
        path = stack.enter_context(engines.temporary_file())
        toolkit.make_app(engines.backends("sqlite", f"sqlite:///{path}"))
        store = Store(path)
        stack.callback(store.close)
        empty = limit.make_app(store, toolkit.SECRET)
        with pytest.raises(DifferentError, match="get: "):
            check(bench.limit_collection, bench.limit_toolkit, empty)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_operation_leaves_the_collection_as_it_was(app, collection, operation):
    for http_request in operation.make(collection, 3):
        assert send(app, http_request).status == operation.status
    if operation.drifts:
        collection.restore()
    listed = send(app, request("GET", f"{collection.path}?_since=1")).json["data"]
    assert sorted(item["id"] for item in listed) == sorted(collection.ids)
    assert len(listed) == RECORDS


def test_only_operations_that_change_the_number_of_records_are_undone(app, collection):
    for operation in OPERATIONS:
        if not operation.drifts:
            for http_request in operation.make(collection, 3):
                send(app, http_request)
    response = send(app, request("GET", collection.path))
    assert response.headers["Total-Records"] == str(RECORDS)


def test_response_with_another_status_ends_the_benchmark(app):
    with pytest.raises(RuntimeError, match="/v1/x: .*404"):
        requests.calls(app, [request("GET", "/v1/x")], 200)


@pytest.mark.parametrize(
    "ratio, recorded, worse",
    [(1.26, 1.0, True), (1.25, 1.0, False), (0.5, 1.0, False), (9, None, False)],
)
def test_ratio_is_marked_when_it_is_a_quarter_worse(ratio, recorded, worse):
    assert requests.is_worse(result(ratio), recorded) == worse
    assert ("WORSE: 1.00 was recorded" in requests.line(result(ratio), recorded)) == worse


@pytest.mark.parametrize("goal, verdict", [(2.0, "ok"), (1.0, "missed by 1.50"), (None, "")])
def test_verdict_compares_with_the_goal(goal, verdict):
    assert result(1.5, goal).verdict == verdict


def test_goals_of_shareable_resources_are_wider():
    engine = engines.ENGINES["postgresql"]
    assert engines.goal(engine, "get", "plain") == pytest.approx(1.6)
    assert engines.goal(engine, "get", "shareable") == pytest.approx(1.6 * 1.5)
    assert engines.goal(engine, "batch", "shareable") is None
    assert engines.goal(engine, "hello", "plain") is None


def test_sqlite_is_compared_with_the_memory_engine(capsys):
    arguments = ["--engine", "memory", "--engine", "sqlite", "--operation", "get", "--rounds", "1"]
    assert requests.main(arguments) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    assert "us beyond memory (goal 60): " in row


@pytest.mark.parametrize("beyond, verdict", [(60.0, "ok"), (61.0, "missed")])
def test_time_beyond_the_memory_engine_has_a_goal(beyond, verdict):
    row = requests.line(result(1.5, None)._replace(engine="sqlite"), None, beyond)
    assert row.endswith(f"+{beyond:.0f} us beyond memory (goal 60): {verdict}")


def test_results_can_be_read_again(tmp_path):
    path = tmp_path / "results.json"
    requests.save(path, [result(1.5), result(2.5, None)._replace(operation="hello")])
    assert requests.load(path) == {
        ("memory", "plain", "get"): 1.5,
        ("memory", "plain", "hello"): 2.5,
    }
    assert json.loads(path.read_text())["versions"]["python"] == sys.version.split()[0]


def test_recorded_results_are_of_all_that_is_measured():
    expected = {
        (engine, resource, operation.name)
        for engine in engines.ENGINES
        for resource in engines.RESOURCES
        for operation in OPERATIONS
    }
    assert set(requests.load(requests.RECORDED)) == expected


@pytest.mark.parametrize("recorded, code", [(1e-9, 1), (1e9, 0)])
def test_exit_code_reports_regressions(tmp_path, capsys, recorded, code):
    path = tmp_path / "results.json"
    requests.save(path, [result(recorded)._replace(ratio=recorded, operation="hello")])
    arguments = ["--engine", "memory", "--operation", "hello", "--rounds", "1"]
    assert requests.main([*arguments, "--compare", str(path)]) == code
    out = capsys.readouterr().out
    assert "memory     plain     hello" in out
    assert ("WORSE" in out) == bool(code)


def test_profile_lists_the_functions(capsys):
    assert requests.main(["--engine", "memory", "--profile", "get", "--lines", "5"]) == 0
    assert "tottime" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv", [["--rounds", "0"], ["--engine", "x"], ["--operation", "x"], ["x"]]
)
def test_unknown_arguments_are_refused(argv, capsys):
    with pytest.raises(SystemExit) as raised:
        requests.parse(argv)
    assert raised.value.code == 2
    assert "usage: python -m benchmarks.requests" in capsys.readouterr().err

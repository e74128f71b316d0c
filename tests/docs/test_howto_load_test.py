"""The program of the guide, on a server of this process."""

import subprocess
import sys

import pytest


@pytest.fixture
def run(serve, listen, examples):
    """A function of arguments, which runs the program on a service with bookmarks."""

    app = serve("bookmarks_resource").app

    def with_encoded_urls(environ, start_response):
        """Reject what granian rejects."""
        assert '"' not in environ["QUERY_STRING"]
        return app(environ, start_response)

    def run(*arguments):
        url = f"http://127.0.0.1:{listen(with_encoded_urls)}/v1"
        return subprocess.run(
            [sys.executable, str(examples / "load_test.py"), url, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


SHORT = ("--clients=2", "--seconds=0.5")


def test_operations_are_listed_with_statuses_and_times(run):
    done = run("bookmarks", '{"url": "https://www.example.com"}', *SHORT)
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = map(str.split, done.stdout.splitlines())
    assert head[:2] == ["operation", "status"]
    outcomes = {(operation, status) for operation, status, *_ in rows}
    assert {("poll", "304"), ("poll", "200"), ("write", "201")} <= outcomes
    for _, _, rate, *times in rows:
        assert float(rate) > 0
        assert sorted(map(float, times)) == list(map(float, times))


@pytest.mark.parametrize("resource, data", [("bookmarks", '{"url": 1}'), ("nothing", "{}")])
def test_refusals_make_it_fail(run, resource, data):
    done = run(resource, data, *SHORT)
    assert done.returncode == 1
    assert " 40" in done.stdout

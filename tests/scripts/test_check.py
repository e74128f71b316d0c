"""The command ``check``."""

import socket

import pytest

from cliquet import cache
from cliquet.http.limits import Limits
from cliquet.scripts.cliquet import main
from cliquet.storage.checksums import Checksum
from cliquet.storage.exceptions import BackendError
from cliquet.storage.memory import Storage
from cliquet.storage.types import Mismatch
from tests.scripts.conftest import KINDS, URLS
from tests.scripts.myapp import ALL_IN_MEMORY, SETTINGS


@pytest.fixture
def table(capsys):
    """A function that returns the first line, and the columns of the others by kind."""

    def table():
        first, titles, *lines = capsys.readouterr().out.splitlines()
        rows = [line for line in lines if not line.startswith(("warning: ", "error: "))]
        assert titles.split() == ["KIND", "BACKEND", "URL", "TIME", "RESULT"]
        starts = [titles.index(title) for title in titles.split()]
        ends = [*starts[1:], None]
        cells = [[row[a:b].strip() for a, b in zip(starts, ends, strict=True)] for row in rows]
        return first, {kind: rest for kind, *rest in cells}

    return table


@pytest.mark.parametrize("engine", URLS)
def test_check_tries_every_backend(engine, write_ini, settings_of, tmp_path, table, capsys):
    ini = write_ini(settings_of(engine))
    assert main(["--ini", ini, "migrate"]) == 0
    capsys.readouterr()
    assert main(["--ini", ini, "check"]) == 0
    first, rows = table()
    assert first == "myapp 1.0, at /v1"
    assert list(rows) == list(KINDS)
    for kind, (backend, url, taken, result) in rows.items():
        assert (backend, result) == (f"cliquet.{kind}.{engine}", "ok")
        assert url == URLS[engine](tmp_path)
        assert float(taken.removesuffix(" ms")) > 0


def test_check_reports_the_failing_backend(write_ini, sqlite, table):
    settings = sqlite[0].replace("cache_backend = cliquet.cache.sqlite", "cache_backend =")
    assert main(["--ini", write_ini(settings), "check"]) == 1
    _, rows = table()
    assert "has `cliquet migrate` been run?" in rows["storage"][-1]
    assert rows["permission"][-1].startswith("error: ")
    assert rows["cache"] == ["-", "-", "-", "not configured"]


def test_check_lists_failures_on_standard_error(write_ini, sqlite, explanation):
    assert main(["--ini", write_ini(sqlite[0]), "check"]) == 1
    assert explanation() == "Checks failed: storage, permission, cache"


def test_check_hides_passwords(write_ini, settings_of, capsys):
    url = "postgresql://alice:s3cr3t@127.0.0.1:1/mydb"
    assert main(["--ini", write_ini(settings_of("postgresql", url)), "check"]) == 1
    out, err = capsys.readouterr()
    assert "postgresql://alice:***@127.0.0.1:1/mydb" in out
    assert "s3cr3t" not in out + err


def test_check_reports_a_server_that_does_not_respond(write_ini, settings_of, table):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0?socket_timeout=0.2"
        assert main(["--ini", write_ini(settings_of("redis", url)), "check"]) == 1
    assert "Timeout" in table()[1]["storage"][-1]


def test_check_only_reads_in_read_only_mode(write_ini, monkeypatch, table):
    def create(self, *args, **kwargs):
        raise BackendError(message="the database is read-only")

    monkeypatch.setattr(Storage, "create", create)
    assert main(["--ini", write_ini(SETTINGS + ALL_IN_MEMORY), "check"]) == 1
    assert table()[1]["storage"][-1] == "error: the database is read-only"
    ini = write_ini(SETTINGS + ALL_IN_MEMORY + "cliquet.readonly = true\n")
    assert main(["--ini", ini, "check"]) == 0
    first, rows = table()
    assert first == "myapp 1.0, at /v1, read-only"
    assert rows["storage"][-1] == "ok"


def test_cache_that_keeps_nothing_fails(monkeypatch, write_ini, table):
    monkeypatch.setattr(cache.CacheBase, "get", lambda self, key: None)
    assert main(["--ini", write_ini(SETTINGS + ALL_IN_MEMORY), "check"]) == 1
    assert table()[1]["cache"][-1] == "error: a value that was just set is missing"


def test_check_looks_for_damage(write_ini, table, monkeypatch):
    def verify(self):
        raise BackendError(message="page 3 is damaged")

    monkeypatch.setattr(Storage, "verify", verify)
    assert main(["--ini", write_ini(SETTINGS + ALL_IN_MEMORY), "check"]) == 1
    _, rows = table()
    assert rows["storage"][-1] == "error: page 3 is damaged"
    assert rows["cache"][-1] == "ok"


@pytest.fixture
def warnings_of(write_ini, capsys):
    """A function of settings, which returns the exit code and the lines after the table."""

    def warnings_of(**settings):
        lines = [f"cliquet.{key} = {value}\n" for key, value in {**SAFE, **settings}.items()]
        code = main(["--ini", write_ini("".join(lines)), "check"])
        out = capsys.readouterr().out.splitlines()
        return code, [line for line in out if line.startswith(("warning: ", "error: "))]

    return warnings_of


#: Nothing is wrong with these, but that they are in memory.
SAFE = {
    "project_name": "myapp",
    "project_version": "1.0",
    "http_host": "api.example.com",
    "userid_hmac_secret": "x" * 16,
    "storage_backend": "tests.scripts.test_check",
}


#: The limits that can be left out.
OPTIONAL = sorted(set(Limits._fields) - {"max_nesting", "max_digits"})


def load_from_config(config):
    """Be the module of a storage that isn't known to be in memory."""
    return Storage()


def test_check_has_no_warning_about_safe_settings(warnings_of):
    assert warnings_of() == (0, [])


#: Settings that are risky in production, and the beginnings of the warnings.
RISKY = {
    "http_host": ("", "http_host is empty: URLs in responses use the host of the request"),
    "userid_hmac_secret": ("x" * 15, "userid_hmac_secret is shorter than 16 characters"),
    "storage_backend": ("cliquet.storage.memory", "storage_backend is in memory: processes"),
    "permission_backend": ("cliquet.permission.memory", "permission_backend is in memory"),
    "cache_backend": ("cliquet.cache.memory", "cache_backend is in memory: processes"),
    "profiler_enabled": ("true", "profiler_enabled is true: each request writes a file"),
    **{key: ("", f"{key} is empty: the cost of a request is unlimited") for key in OPTIONAL},
}


def test_check_warns_about_settings_that_are_risky_in_production(warnings_of):
    code, lines = warnings_of(**{key: value for key, (value, _) in RISKY.items()})
    assert code == 0
    assert len(lines) == len(RISKY)
    for _, warning in RISKY.values():
        assert any(line.startswith(f"warning: {warning}") for line in lines), warning


def test_check_fails_without_a_secret(warnings_of):
    expected = "error: userid_hmac_secret is empty: anyone can compute user ids"
    assert warnings_of(userid_hmac_secret="") == (1, [expected])


@pytest.mark.parametrize("engine", URLS)
def test_deep_check_compares_checksums_with_records(engine, write_ini, settings_of, capsys):
    ini = write_ini(settings_of(engine))
    assert main(["--ini", ini, "migrate"]) == 0
    assert main(["--ini", ini, "check", "--deep"]) == 0
    assert "0 wrong counts or checksums" in capsys.readouterr().out


def test_deep_check_lists_wrong_checksums(write_ini, monkeypatch, capsys, explanation):
    mismatches = [
        Mismatch(name, "alice", Checksum(1, 2, 3), Checksum(4, 5, 6)) for name in ("b", "a")
    ]
    monkeypatch.setattr(Storage, "find_mismatches", lambda self: mismatches)
    ini = write_ini(SETTINGS + ALL_IN_MEMORY)
    assert main(["--ini", ini, "check"]) == 0
    capsys.readouterr()
    assert main(["--ini", ini, "check", "--deep"]) == 1
    *_, first, second, last = [
        line for line in capsys.readouterr().out.splitlines() if not line.startswith("warning")
    ]
    explanation_of = 'error: collection "{}" of "alice": its checksum is 1-2-3, but that of its '
    assert first == explanation_of.format("a") + "records is 4-5-6"
    assert second == explanation_of.format("b") + "records is 4-5-6"
    assert last == "2 wrong counts or checksums"


def test_deep_check_that_fails_is_reported(write_ini, monkeypatch, capsys):
    def fail(self):
        raise BackendError(message="out of memory")

    monkeypatch.setattr(Storage, "find_mismatches", fail)
    assert main(["--ini", write_ini(SETTINGS + ALL_IN_MEMORY), "check", "--deep"]) == 1
    assert "error: checksums: out of memory" in capsys.readouterr().out

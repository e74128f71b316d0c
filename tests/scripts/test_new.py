"""The command ``new``: what it makes, and whether that works."""

import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from cliquet.scripts import new
from cliquet.scripts.cliquet import main

ROOT = Path(__file__).resolve().parent.parent.parent

COMMAND = [
    sys.executable,
    "-c",
    "import sys; from cliquet.scripts.cliquet import main; sys.exit(main())",
]

#: Nothing that the application does may be deprecated; Pyramid and WebOb are excused.
STRICTLY = [
    "-Werror",
    "-Wignore:pkg_resources is deprecated as an API",
    "-Wignore:Deprecated call to `pkg_resources.declare_namespace:DeprecationWarning",
    "-Wignore:'cgi' is deprecated:DeprecationWarning",
]

SERVE = """
from pyramid.paster import get_app, setup_logging
from webtest import TestApp

setup_logging("sqlite.ini")
client = TestApp(get_app("sqlite.ini"))
client.authorization = ("Basic", ("alice", "secret"))
client.post_json("/v1/tasks", {"data": {"title": "Serve"}}, status=201)
print(client.get("/v1/tasks").json["data"][0]["title"])
print(client.get("/v1/__heartbeat__").json)
"""


@pytest.fixture
def made(tmp_path, monkeypatch, capsys):
    """The folder that the command makes."""
    monkeypatch.chdir(tmp_path)
    assert main(["new", "myservice"]) == 0
    return tmp_path / "myservice"


@pytest.fixture
def run(made):
    """A function that runs a program in the folder, and returns its output."""

    def run(*command, code=0):
        variables = {key: value for key, value in os.environ.items() if "CLIQUET" not in key}
        done = subprocess.run(
            command,
            cwd=made,
            env={**variables, "PYTHONPATH": f"{ROOT}{os.pathsep}{made}"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return run


def test_every_file_is_told_and_what_comes_next(made, capsys):
    files = sorted(path for path in made.rglob("*") if path.is_file())
    lines = capsys.readouterr().out.splitlines()
    assert lines[: len(files)] == [str(path.relative_to(made.parent)) for path in files]
    assert lines[len(files) :][:2] == ["Next steps:", "  cd myservice"]
    assert {path.suffix for path in files} == {".py", ".ini", ".rst", ".toml"}


def test_its_test_passes_as_generated_without_a_warning(run):
    out = run(sys.executable, "-m", "pytest", *STRICTLY, "-p", "no:cacheprovider")
    assert "4 passed" in out
    assert "warning" not in out


def test_it_is_served_as_generated(run):
    assert "storage: ready" in run(*COMMAND, "--ini", "sqlite.ini", "migrate")
    assert "storage     cliquet.storage.sqlite" in run(*COMMAND, "--ini", "sqlite.ini", "check")
    out = run(sys.executable, *STRICTLY, "-c", SERVE)
    assert out.splitlines() == [
        "Serve",
        str(dict.fromkeys(("storage", "permission", "cache"), True)),
    ]


def test_its_code_passes_the_checks_of_this_project(run):
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    run(*ruff, "check", *config, ".")
    run(*ruff, "format", *config, "--check", ".")


def test_both_configurations_name_three_backends_and_a_secret_of_their_own(made):
    secrets = set()
    for engine in ("sqlite", "postgresql"):
        ini = ConfigParser(defaults={"here": str(made)})
        ini.read(made / f"{engine}.ini")
        settings = ini["app:main"]
        assert settings["use"] == "call:myservice:main"
        for kind in ("storage", "permission", "cache"):
            assert settings[f"cliquet.{kind}_backend"] == f"cliquet.{kind}.{engine}"
            assert settings[f"cliquet.{kind}_url"].startswith(f"{engine}://")
        secrets.add(settings["cliquet.userid_hmac_secret"])
    (secret,) = secrets
    assert len(secret) == 64
    assert main(["new", "another"]) == 0
    assert secret not in Path("another/sqlite.ini").read_text()


def test_what_exists_is_left_as_it_is(tmp_path, monkeypatch, explanation):
    monkeypatch.chdir(tmp_path)
    Path("mine").write_text("text")
    assert main(["new", "mine"]) == 2
    assert explanation() == "'mine' already exists. Choose another name."
    assert Path("mine").read_text() == "text"


@pytest.mark.parametrize(
    "name", ["", "my-service", "../x", "a/b", "1st", "Big", "été", "a_", "class", "a.b", "."]
)
def test_what_is_no_name_of_a_package_is_refused(name, tmp_path, monkeypatch, explanation):
    monkeypatch.chdir(tmp_path)
    assert main(["new", name]) == 2
    expected = "expected a Python package name in lower case, such as myservice"
    assert explanation() == f"Invalid name {name!r}: {expected}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["json", "cliquet", "pyramid", "tests"])
def test_name_of_another_package_is_refused(name, tmp_path, monkeypatch, explanation):
    monkeypatch.chdir(tmp_path)
    assert main(["new", name]) == 2
    assert explanation() == f"Invalid name {name!r}: a Python package has this name already"
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_what_could_not_be_written(tmp_path, monkeypatch, explanation):
    def fail(name):
        yield Path("first"), "text"
        raise OSError("No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(new, "_made", fail)
    assert main(["new", "myservice"]) == 1
    assert explanation() == "No space left on device"
    assert list(tmp_path.iterdir()) == []

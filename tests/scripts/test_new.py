"""The ``new`` command: the applications that it creates."""

import json
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from pyramid.paster import get_app
from webtest import TestApp

from cliquet.scripts import new
from cliquet.scripts.cliquet import main, make_parser
from cliquet.settings import SETTINGS
from cliquet.utils import installation
from tests.scripts.conftest import KINDS, URLS

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


@pytest.fixture
def made(tmp_path, monkeypatch, capsys):
    """The folder that the command creates."""
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


FILES = [
    ".dockerignore",
    ".env",
    ".env.example",
    ".github/workflows/tests.yml",
    ".gitignore",
    "Dockerfile",
    "README.rst",
    "compose.yaml",
    "myservice/__init__.py",
    "myservice/views.py",
    "postgresql.ini",
    "pyproject.toml",
    "redis.ini",
    "sqlite.ini",
    "tests/test_views.py",
]


def test_every_file_is_printed_and_the_next_steps(made, capsys):
    files = [path.relative_to(made) for path in made.rglob("*") if path.is_file()]
    assert sorted(map(str, files)) == FILES
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines[: len(files)]) == [f"myservice/{name}" for name in FILES]
    assert lines[len(files) :][:2] == ["Next steps:", "  cd myservice"]


def test_generated_tests_pass_without_a_warning(run):
    out = run(sys.executable, "-m", "pytest", *STRICTLY, "-p", "no:cacheprovider")
    assert "5 passed" in out
    assert "warning" not in out


def test_generated_code_passes_the_checks_of_this_project(run):
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    run(*ruff, "check", *config, ".")
    run(*ruff, "format", *config, "--check", ".")


def test_generated_types_are_strict(run):
    cache = ROOT / ".mypy_cache" / "template"
    assert "Success" in run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache))


@pytest.fixture
def importable(made, monkeypatch):
    """The generated package can be imported."""
    monkeypatch.syspath_prepend(made)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "myservice"]:
        del sys.modules[name]


def secrets_of(folder):
    """The variables of the file that git ignores."""
    lines = (folder / ".env").read_text().splitlines()
    return dict(line.split("=") for line in lines if not line.startswith("#"))


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("engine", URLS)
def test_each_configuration_serves_private_and_shareable_records(engine, made, monkeypatch, capsys):
    ini = str(made / f"{engine}.ini")
    for name, value in secrets_of(made).items():
        monkeypatch.setenv(name, value)
    for kind in KINDS:
        monkeypatch.setenv(f"CLIQUET_{kind.upper()}_URL", URLS[engine](made))
    assert main(["--ini", ini, "migrate"]) == 0
    assert main(["--ini", ini, "check"]) == 0
    assert f"storage     cliquet.storage.{engine}" in capsys.readouterr().out
    app = get_app(ini)
    client = TestApp(app)
    client.authorization = ("Basic", ("alice", "secret"))
    try:
        client.post_json("/v1/tasks", {"data": {"title": "Serve"}}, status=201)
        client.post_json("/v1/notes", {"data": {"text": "Share"}}, status=201)
        assert client.get("/v1/tasks").json["data"][0]["title"] == "Serve"
        assert "swagger" in client.get("/v1/__api__/").text.lower()
    finally:
        for kind in KINDS:
            getattr(app.registry, kind).flush()


def test_secrets_are_random_and_only_in_the_file_that_git_ignores(made):
    secrets = secrets_of(made)
    assert set(secrets) == {"CLIQUET_USERID_HMAC_SECRET", "POSTGRES_PASSWORD"}
    assert ".env" in (made / ".gitignore").read_text().splitlines()
    for secret in secrets.values():
        assert len(secret) == 64
        assert [path.name for path in made.rglob("*") if contains(path, secret)] == [".env"]
    assert main(["new", "another"]) == 0
    assert not set(secrets.values()) & set(secrets_of(Path("another")).values())


def contains(path, text):
    return path.is_file() and text in path.read_text()


def test_workflow_runs_the_checks(made):
    workflow = yaml.safe_load((made / ".github/workflows/tests.yml").read_text())
    steps = workflow["jobs"]["tests"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [
        "pip install -e '.[test]'",
        "mypy",
        "pytest",
    ]


ORIGINS = {
    "index": ({}, "==", None),
    "git": (
        {"url": "https://git.example.com/c.git", "vcs_info": {"vcs": "git", "commit_id": "1a2b"}},
        "git+https://git.example.com/c.git@1a2b",
        None,
    ),
    "wheel": (
        {"url": "file:///srv/a%20b/c.whl", "archive_info": {}},
        "file:///srv/a%20b/c.whl",
        "/srv/a b",
    ),
    "folder": ({"url": ROOT.as_uri(), "dir_info": {}}, ROOT.as_uri(), str(ROOT)),
}


@pytest.mark.parametrize("origin, source, context", ORIGINS.values(), ids=ORIGINS)
def test_cliquet_comes_from_where_it_was_installed_from(
    origin, source, context, tmp_path, monkeypatch
):
    monkeypatch.setattr(installation, "origin", lambda: origin)
    monkeypatch.chdir(tmp_path)
    assert main(["new", "myservice"]) == 0
    project = tomllib.loads(Path("myservice/pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for extra, lines in (
        ("serve", project["dependencies"]),
        ("postgresql", extras["postgresql"]),
        ("redis", extras["redis"]),
    ):
        (requirement,) = map(Requirement, lines)
        assert (requirement.name, requirement.extras) == ("cliquet", {extra})
        assert source in str(requirement)
    compose = yaml.safe_load(Path("myservice/compose.yaml").read_text())
    builds = [service["build"] for service in compose["services"].values() if "build" in service]
    contexts = {"additional_contexts": {"cliquet": context}} if context else {}
    assert builds == [{"context": ".", **contexts}] * 2
    instructions = [line.split(" ", 1) for line in dockerfile(Path("myservice"))]
    copied = json.dumps([".", f"{context}/"])
    assert (["COPY", f"--from=cliquet {copied}"] in instructions) is (context is not None)
    installs_git = any("apt-get install" in arguments for _, arguments in instructions)
    assert installs_git is (source.startswith("git+"))
    assert ("Before you share" in Path("myservice/README.rst").read_text()) is bool(context)


def dockerfile(folder):
    """The instructions of a Dockerfile, each in one line."""
    text = (folder / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_container_copies_files_that_exist_and_serves_the_port_that_is_published(made):
    instructions = [line.split(" ", 1) for line in dockerfile(made)]
    ignored = (made / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    for name in [
        name
        for instruction, arguments in instructions
        if instruction == "COPY" and "--from" not in arguments
        for name in arguments.split()[:-1]
    ]:
        assert (made / name).exists()
        assert any(fnmatch(name, line.removeprefix("!")) for line in ignored[1:])
    names = [instruction for instruction, _ in instructions]
    assert (names[0], names[-1]) == ("FROM", "CMD")
    command = json.loads(instructions[-1][1])
    options = make_parser().parse_args(command[1:])
    assert (options.command, options.host) == ("serve", "0.0.0.0")
    web = yaml.safe_load((made / "compose.yaml").read_text())["services"]["web"]
    assert ["EXPOSE", str(options.port)] in instructions
    assert web["ports"] == [f"127.0.0.1:{options.port}:{options.port}"]


def test_compose_file_sets_known_settings_and_uses_variables_of_the_example(made):
    text = (made / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    known = {f"CLIQUET_{setting.key.upper()}" for setting in SETTINGS}
    assert set(services["web"]["environment"]) <= known
    assert services["migrate"]["environment"] == services["web"]["environment"]
    variables = set(re.findall(r"\$\{(\w+)", text))
    assert variables == set(secrets_of(made))
    for name in variables:
        assert f"{name}=\n" in (made / ".env.example").read_text()
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert wanted["condition"] != "service_healthy" or "healthcheck" in services[name]


def test_minimal_application_has_three_files_and_runs_in_its_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "--minimal", "tiny"]) == 0
    assert "Next steps:\n  cd tiny\n  pip install -r" in capsys.readouterr().out
    folder = tmp_path / "tiny"
    names = ["requirements.txt", "sqlite.ini", "tiny.py"]
    assert sorted(path.name for path in folder.iterdir()) == names
    monkeypatch.setattr(sys, "path", [*sys.path])  # which the command extends
    monkeypatch.delitem(sys.modules, "tiny", raising=False)
    ini = str(folder / "sqlite.ini")
    assert main(["--ini", ini, "migrate"]) == 0
    client = TestApp(get_app(ini))
    client.authorization = ("Basic", ("alice", "secret"))
    client.post_json("/v1/tasks", {"data": {"title": "Serve"}}, status=201)
    del sys.modules["tiny"]


def test_existing_file_is_not_overwritten(tmp_path, monkeypatch, explanation):
    monkeypatch.chdir(tmp_path)
    Path("mine").write_text("text")
    assert main(["new", "mine"]) == 2
    assert explanation() == "'mine' already exists. Choose another name."
    assert Path("mine").read_text() == "text"


@pytest.mark.parametrize(
    "name", ["", "my-service", "../x", "a/b", "1st", "Big", "été", "a_", "class", "a.b", "."]
)
def test_invalid_package_name_is_refused(name, tmp_path, monkeypatch, explanation):
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


def test_folder_is_removed_if_writing_fails(tmp_path, monkeypatch, explanation):
    def fail(name, minimal):
        yield Path("first"), "text"
        raise OSError("No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(new, "_contents", fail)
    assert main(["new", "myservice"]) == 1
    assert explanation() == "No space left on device"
    assert list(tmp_path.iterdir()) == []

"""The command ``cliquet``."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError

import cliquet
from cliquet.cache.memory import Cache
from cliquet.permission.memory import Permission
from cliquet.scripts.cliquet import COMMANDS, main
from cliquet.storage.exceptions import BackendError
from cliquet.storage.memory import Storage
from cliquet.utils.installation import install_command
from tests.scripts.myapp import ALL_IN_MEMORY, SETTINGS

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def initialized(monkeypatch):
    """The classes of the backends whose ``initialize_schema`` is called."""
    calls = []
    for backend in (Storage, Permission, Cache):
        monkeypatch.setattr(backend, "initialize_schema", lambda self: calls.append(type(self)))
    return calls


def test_migrate_initializes_every_backend(write_ini, initialized, capsys):
    assert main(["--ini", write_ini(SETTINGS + ALL_IN_MEMORY), "migrate"]) == 0
    assert initialized == [Storage, Permission, Cache]
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "storage: migrating cliquet.storage.memory",
        "storage: ready",
        "permission: migrating cliquet.permission.memory",
        "permission: ready",
        "cache: migrating cliquet.cache.memory",
        "cache: ready",
    ]
    assert err == ""


def test_migrate_creates_the_schemas(write_ini, sqlite, capsys):
    settings, path = sqlite
    ini = write_ini(settings)
    assert main(["--ini", ini, "migrate"]) == 0
    assert path.exists()
    config = Configurator(settings=dict(line.split(" = ") for line in settings.split("\n") if line))
    cliquet.initialize(config)
    assert config.registry.storage.create("bookmark", "alice", {"a": 1})["a"] == 1


def test_migrate_can_be_run_twice(write_ini, sqlite):
    settings, path = sqlite
    arguments = ["--ini", write_ini(settings), "migrate"]
    assert [main(arguments), main(arguments)] == [0, 0]


def test_migrate_lists_backends_that_are_not_configured(write_ini, capsys):
    assert main(["--ini", write_ini(), "migrate"]) == 0
    assert "storage: not configured\n" in capsys.readouterr().out


def test_migrate_leaves_storage_and_permission_alone_in_readonly_mode(
    write_ini, initialized, capsys
):
    ini = write_ini(SETTINGS + ALL_IN_MEMORY + "    cliquet.readonly = true\n")
    assert main(["--ini", ini, "migrate"]) == 0
    assert initialized == [Cache]
    assert capsys.readouterr().err.splitlines() == [
        "cliquet: warning: skipping storage: the service is read-only",
        "cliquet: warning: skipping permission: the service is read-only",
    ]


def test_ini_can_follow_the_command(write_ini, initialized):
    assert main(["migrate", "--ini", write_ini(SETTINGS + ALL_IN_MEMORY)]) == 0
    assert initialized == [Storage, Permission, Cache]


def test_ini_can_come_from_the_environment(write_ini, initialized, monkeypatch):
    monkeypatch.setenv("CLIQUET_INI", write_ini(SETTINGS + ALL_IN_MEMORY))
    assert main(["migrate"]) == 0
    assert initialized == [Storage, Permission, Cache]


def test_ini_can_name_a_section(write_ini, initialized):
    ini = write_ini(SETTINGS + ALL_IN_MEMORY + "[app:other]\nuse = main\n")
    assert main(["--ini", f"{ini}#other", "migrate"]) == 0
    assert initialized == [Storage, Permission, Cache]


def test_settings_of_the_environment_win(write_ini, initialized, monkeypatch):
    monkeypatch.setenv("CLIQUET_READONLY", "true")
    assert main(["--ini", write_ini(SETTINGS + ALL_IN_MEMORY), "migrate"]) == 0
    assert initialized == [Cache]


def test_init_is_the_deprecated_name_of_migrate(write_ini, initialized, capsys):
    assert main(["--ini", write_ini(SETTINGS + ALL_IN_MEMORY), "init"]) == 0
    assert initialized == [Storage, Permission, Cache]
    assert "'init' is deprecated, use 'migrate'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["version"], ["--ini", "unread.ini", "version"]])
def test_version_needs_no_configuration(arguments, capsys):
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{cliquet.__version__}\n"


@pytest.mark.parametrize("option", ["--version", "-v"])
def test_version_is_an_option_too(capsys, option):
    with pytest.raises(SystemExit) as raised:
        main([option])
    assert raised.value.code == 0
    assert capsys.readouterr().out == f"{cliquet.__version__}\n"


def test_help_lists_commands_and_options(capsys):
    with pytest.raises(SystemExit) as raised:
        main(["--help"])
    assert raised.value.code == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("migrate", "init", "version", "--ini FILE", "CLIQUET_INI"))


@pytest.mark.parametrize("name", COMMANDS)
def test_documentation_describes_every_command_and_option(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    options = set(re.findall(r"--[a-z-]+(?: [A-Z]+)?", capsys.readouterr().out))
    page = ROOT.joinpath("docs/reference/command.rst").read_text(encoding="utf-8")
    assert re.search(rf"^``{name}( [A-Z]+)?``$", page, re.MULTILINE)
    described = set(re.findall(r"^\.\. option:: (.+)$", page, re.MULTILINE))
    assert options <= described
    assert ("--ini FILE" in options) == (name not in ("new", "version"))


@pytest.mark.parametrize("arguments", [[], ["dance"], ["migrate", "x"], ["--ini"]])
def test_unknown_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: cliquet" in capsys.readouterr().err


def test_missing_option_is_reported(explanation):
    assert main(["migrate"]) == 2
    assert explanation() == "No configuration file. Use --ini FILE or set CLIQUET_INI."


def test_missing_file_is_reported(explanation):
    assert main(["--ini", "nowhere.ini", "migrate"]) == 2
    assert explanation() == "Configuration file not found: nowhere.ini"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("nonsense", "File contains no section headers"),
        ("", "No section 'main'"),
        (
            "[app:main]\nuse = call:nothing_like_it:main",
            "No module named 'nothing_like_it'. Is it installed",
        ),
        ("[app:main]\nuse = call:cliquet:mian", "module 'cliquet' has no attribute 'mian'"),
        ("[app:main]\nuse = call:cliquet:mian\na = %(b)s", "Bad value substitution"),
        ("[app:main]\nuse = egg:nothing-like-it#main", "nothing-like-it"),
    ],
)
def test_file_that_cannot_be_loaded_is_reported(tmp_path, explanation, text, expected):
    path = tmp_path / "bad.ini"
    path.write_text(text)
    assert main(["--ini", str(path), "migrate"]) == 2
    message = explanation()
    assert message.startswith(f"{path}: ")
    assert expected in message


@pytest.mark.parametrize("name", ["service.toml", "service"])
def test_file_of_another_format_is_reported(name, tmp_path, monkeypatch, explanation):
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    assert main(["--ini", name, "check"]) == 2
    expected = f"{name}: expected a configuration file whose name ends with .ini"
    assert explanation().startswith(expected)


@pytest.mark.parametrize("factory", ["six", "deferred_six"])
def test_package_that_3_1_required_is_named_with_its_extra(write_ini, explanation, factory):
    assert main(["--ini", write_ini(factory=f"application_with_{factory}"), "check"]) != 0
    assert f"the package six is missing ({install_command('legacy')})" in explanation()


def test_failure_to_create_the_application_is_reported(write_ini, explanation):
    assert main(["--ini", write_ini(factory="broken_application"), "migrate"]) == 2
    assert "KeyError: 'what' (use --traceback for details)" in explanation()


def test_conflict_of_settings_is_reported(write_ini, explanation):
    ini = write_ini(SETTINGS + "    paginate_by = 1\n    cliquet.paginate_by = 2\n")
    assert main(["--ini", ini, "migrate"]) == 2
    assert "Settings 'paginate_by', 'cliquet.paginate_by' are in conflict." in explanation()


def test_invalid_settings_are_reported_one_per_line(write_ini, capsys):
    ini = write_ini(SETTINGS + "    cliquet.paginate_by = many\n    cliquet.backoff = 3s\n")
    assert main(["--ini", ini, "migrate"]) == 1
    expected = "(from the configuration): expected an integer, 0 or more"
    assert capsys.readouterr().err.splitlines() == [
        "cliquet: error: Invalid settings:",
        f"  cliquet.backoff = '3s' {expected}",
        f"  cliquet.paginate_by = 'many' {expected}",
    ]


def test_error_of_a_deferred_action_is_reported_like_others(write_ini, explanation):
    assert main(["--ini", write_ini(factory="application_with_action"), "migrate"]) == 1
    assert explanation() == "no such view (use --traceback for details)"


def test_failing_backend_is_reported(write_ini, monkeypatch, explanation):
    def fail(self):
        raise BackendError(original=OSError("no route to host"))

    monkeypatch.setattr(Storage, "initialize_schema", fail)
    assert main(["--ini", write_ini(SETTINGS + ALL_IN_MEMORY), "migrate"]) == 1
    assert explanation() == "OSError: no route to host"


def test_missing_folder_is_reported(write_ini, tmp_path, explanation):
    url = f"sqlite:///{tmp_path}/missing/myapp.sqlite"
    settings = f"cliquet.storage_backend = cliquet.storage.sqlite\ncliquet.storage_url = {url}\n"
    assert main(["--ini", write_ini(SETTINGS + settings), "migrate"]) == 1
    assert "missing/myapp.sqlite); does its folder exist" in explanation()


def test_traceback_is_shown_on_request(write_ini):
    ini = write_ini(SETTINGS + "    cliquet.paginate_by = many\n")
    with pytest.raises(ConfigurationError):
        main(["--ini", ini, "--traceback", "migrate"])


def test_command_exits_with_its_code():
    command = "import sys; from cliquet.scripts.cliquet import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", command, "--ini", "nowhere.ini", "migrate"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cliquet: error: Configuration file not found: nowhere.ini\n"

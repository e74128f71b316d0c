"""The commands of ``dev.py``; no test creates its environment."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.processes import free_port

ROOT = Path(__file__).resolve().parent.parent

REPORT = """
<testsuites>
  <testsuite name="pytest" tests="{tests}" failures="{failures}" errors="{errors}" skipped="1"/>
</testsuites>
"""

# ``dev.py serve`` in the current environment.
SERVE = """
import sys
import dev
dev.prepare = lambda: None
dev.PYTHON = sys.executable
sys.exit(dev.main(["serve", *sys.argv[1:]]))
"""


@pytest.fixture(scope="module")
def dev():
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(dev, tmp_path, monkeypatch):
    """A checkout with only the files that the environment depends on."""
    venv = tmp_path / ".venv"
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "VENV", venv)
    monkeypatch.setattr(dev, "STAMP", venv / "complete")
    monkeypatch.setattr(dev, "PYTHON", str(venv / "bin" / "python"))
    for name in dev.REQUIREMENTS:
        (tmp_path / name).write_text(name)
    return tmp_path


def test_help_lists_the_commands():
    done = subprocess.run(
        [sys.executable, "dev.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(command in done.stdout for command in ("serve", "test", "bench", "docs"))


@pytest.mark.parametrize("argv", [[], ["dance"], ["docs", "x"], ["dance", "x"]])
def test_unknown_arguments_are_refused(dev, argv, capsys):
    with pytest.raises(SystemExit) as raised:
        dev.parse(argv)
    assert raised.value.code == 2
    assert "usage: dev.py" in capsys.readouterr().err


def test_arguments_of_test_are_for_pytest(dev):
    arguments = ["-k", "paging and token", "tests/test_events.py", "-x", "--maxfail=2"]
    options, others = dev.parse(["test", *arguments])
    assert options.command == "test"
    assert others == arguments


def test_arguments_of_bench_are_for_the_benchmark(dev):
    options, others = dev.parse(["bench", "--engine", "memory"])
    assert options.command == "bench"
    assert others == ["--engine", "memory"]


@pytest.mark.parametrize("code", [0, 1])
def test_bench_ends_as_the_benchmark_does(dev, tmp_path, monkeypatch, capfd, code):
    (tmp_path / "benchmark.py").write_text(f"import sys\nprint(sys.argv[1:])\nsys.exit({code})")
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "PYTHON", sys.executable)
    monkeypatch.setattr(dev, "BENCHMARK", ("benchmark", "--rounds=15"))
    monkeypatch.setattr(dev, "prepare", lambda: None)
    assert dev.main(["bench", "--rounds", "3"]) == code
    assert "['--rounds=15', '--rounds', '3']" in capfd.readouterr().out


def test_environment_is_ready_when_it_was_completed(dev, checkout):
    assert not dev.is_ready()
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").touch()
    assert not dev.is_ready()
    dev.STAMP.write_text(dev.fingerprint())
    assert dev.is_ready()


@pytest.mark.parametrize("name", ["setup.py", "pyproject.toml", "dev.py"])
def test_fingerprint_changes_with_the_requirements(dev, checkout, name):
    before = dev.fingerprint()
    (checkout / name).write_text("changed")
    assert dev.fingerprint() != before


def test_fingerprint_changes_with_python(dev, checkout, monkeypatch):
    before = dev.fingerprint()
    monkeypatch.setattr(sys, "version", "3.99")
    assert dev.fingerprint() != before


def test_fingerprint_changes_with_the_place(dev, checkout, monkeypatch):
    before = dev.fingerprint()
    monkeypatch.setattr(dev, "VENV", Path("/elsewhere/.venv"))
    assert dev.fingerprint() != before


def test_missing_ensurepip_names_the_package_to_install(dev, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(dev.CommandError, match=r"apt-get install python3\.\d+-venv"):
        dev.ensure_venv_module()


def test_missing_ensurepip_is_installed_by_root(dev, monkeypatch):
    commands = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(dev, "run", lambda what, *command: commands.append(command))
    dev.ensure_venv_module()
    assert [command[:2] for command in commands] == [("apt-get", "update"), ("apt-get", "install")]


def test_output_of_pip_is_shown_when_it_fails(dev, checkout, monkeypatch, capfd):
    monkeypatch.setattr(dev, "PYTHON", "/bin/echo")
    dev.pip_install("something")
    assert capfd.readouterr().out == ""
    monkeypatch.setattr(dev, "PYTHON", sys.executable)
    with pytest.raises(dev.CommandError, match="something-unknown"):
        dev.pip_install("--no-index", "something-unknown")
    assert "No matching distribution" in capfd.readouterr().out


@pytest.fixture
def installs(dev, checkout, monkeypatch):
    """A function that installs a package while uv exits with a status; returns the commands."""

    def installs(status):
        program = checkout / "python"
        log = checkout / "log"
        program.write_text(
            f'#!/bin/sh\necho "$2 $3 $UV_DEFAULT_INDEX" >> {log}\n'
            "[ $3 = config ] && echo \"global.index-url='https://pypi.example/simple'\"\n"
            f"[ $2 != uv ] || exit {status}\n"
        )
        program.chmod(0o755)
        monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
        monkeypatch.setattr(dev, "PYTHON", str(program))
        dev.install_packages("something")
        return log.read_text().splitlines()

    return installs


def test_packages_are_installed_by_uv_from_the_index_of_pip(installs):
    assert installs(0) == ["pip config ", "uv pip https://pypi.example/simple"]


def test_packages_are_installed_by_pip_if_uv_fails(installs):
    assert installs(1)[-1] == "pip install "


@pytest.mark.parametrize(
    ("configuration", "variable", "value"),
    [
        ("global.index-url='https://a.example/'", "UV_DEFAULT_INDEX", "https://a.example/"),
        (":env:.index-url='b'\nglobal.index-url='a'", "UV_DEFAULT_INDEX", "b"),
        ("global.index-url='a'\ninstall.index-url='b'", "UV_DEFAULT_INDEX", "b"),
        ("global.extra-index-url='\\na\\nb'", "UV_INDEX", "a b"),
        ("global.find-links='/a /b'", "UV_FIND_LINKS", "/a,/b"),
        ("global.trusted-host='a.example'", "UV_INSECURE_HOST", "a.example"),
        (":env:.cert='/etc/ca.crt'", "SSL_CERT_FILE", "/etc/ca.crt"),
    ],
)
def test_uv_uses_the_index_that_pip_is_configured_for(dev, configuration, variable, value):
    configuration = f"{configuration}\nglobal.timeout='60'"
    variables = {"UV_INDEX_STRATEGY": "unsafe-best-match", variable: value}
    assert dev.index_variables(configuration) == variables


def metadata():
    """Return the metadata of the distribution."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins():
    """The versions of ``constraints.txt`` by the names of the packages."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines]
    return {canonicalize_name(name): version for name, version in pairs}


def test_environment_has_the_pinned_version_of_each_requirement(dev):
    extras = [metadata()["optional-dependencies"][name] for name in dev.EXTRAS.split(",")]
    lines = [*metadata()["dependencies"], *(line for extra in extras for line in extra)]
    for requirement in map(Requirement, [*lines, dev.SETUPTOOLS, "uv"]):
        if requirement.marker is None or requirement.marker.evaluate({"python_version": "3.11"}):
            pinned = pins()[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(pinned), requirement


def test_setuptools_is_recent_enough_wherever_it_is_required(dev):
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    required = [each for each in metadata()["dependencies"] if each.startswith("setuptools")]
    assert required == build == [dev.SETUPTOOLS]
    for name in ("tox.ini", "Dockerfile"):
        assert dev.SETUPTOOLS in ROOT.joinpath(name).read_text()


def test_pip_installs_the_pinned_versions(dev, checkout, monkeypatch, capfd):
    monkeypatch.setattr(dev, "PYTHON", sys.executable)
    checkout.joinpath("constraints.txt").write_text("pytest==1.0\n")
    with pytest.raises(dev.CommandError):
        dev.pip_install("--no-index", "pytest")
    assert "pytest==1.0" in capfd.readouterr().out


def test_failed_step_ends_the_command(dev, monkeypatch, capsys):
    monkeypatch.setattr(dev, "prepare", lambda: dev.run("Lint", sys.executable, "-c", "exit(3)"))
    assert dev.main(["docs"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "==> Lint\n"
    assert captured.err == "Lint: failed, see above.\n"


@pytest.mark.parametrize(
    "numbers, expected",
    [((5, 0, 0), (4, 0)), ((5, 2, 0), (2, 2)), ((5, 1, 1), (2, 2)), ((1, 0, 0), (0, 0))],
)
def test_count_of_passed_and_failed(dev, tmp_path, numbers, expected):
    tests, failures, errors = numbers
    report = tmp_path / "report.xml"
    report.write_text(REPORT.format(tests=tests, failures=failures, errors=errors))
    assert dev.count(report) == expected


def test_counts_are_0_without_a_report(dev, tmp_path):
    assert dev.count(tmp_path / "report.xml") == (0, 0)
    assert dev.failures(tmp_path / "report.xml") == []


@pytest.mark.parametrize(
    ("arguments", "checks", "selection"),
    [
        ([], ["Lint", "Format", "Types", "Documentation", "JavaScript"], "-p tests.measurement"),
        (["--quick"], ["Lint", "Format", "Types"], "not application"),
        (["tests/test_one.py"], [], "tests/test_one.py"),
    ],
)
def test_arguments_select_checks_and_tests(dev, monkeypatch, capfd, arguments, checks, selection):
    steps = []
    monkeypatch.setattr(dev, "javascript_steps", lambda env: [dev.Step("JavaScript", ["echo"])])
    monkeypatch.setattr(dev, "log_step", steps.append)
    monkeypatch.setattr(dev, "PYTHON", "/bin/echo")
    assert dev.test(arguments) == 0
    assert steps == ["Tests", *checks]
    command, *_, last = capfd.readouterr().out.splitlines()
    assert selection in command
    assert last == "0 passed"


def test_failed_checks_are_named_at_the_end(dev, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "PYTHON", sys.executable)
    monkeypatch.setattr(dev, "CHECKS", dict.fromkeys(dev.QUICK_CHECKS, ("absent",)))
    monkeypatch.setattr(dev, "QUICK_TESTS", ("-p", "no:cacheprovider"))
    (tmp_path / "test_one.py").write_text("def test_one():\n    pass\n")
    assert dev.test([dev.QUICK]) == 1
    assert capfd.readouterr().out.splitlines()[-4:] == [
        "failed: Lint",
        "failed: Format",
        "failed: Types",
        "1 passed",
    ]


@pytest.mark.parametrize(
    "body, code, last_lines",
    [
        ("assert True", 0, ["1 passed"]),
        ("assert False", 1, ["failed: test_one::test_one", "0 passed, 1 failed"]),
    ],
)
def test_last_lines_name_failed_tests_and_count_passed_ones(
    dev, tmp_path, monkeypatch, capfd, body, code, last_lines
):
    (tmp_path / "test_one.py").write_text(f"def test_one():\n    {body}\n")
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "PYTHON", sys.executable)
    assert dev.test(["-p", "no:cacheprovider"]) == code
    assert capfd.readouterr().out.splitlines()[-len(last_lines) :] == last_lines


def test_settings_in_the_environment_do_not_reach_the_tests(dev, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("READONLY", "true")
    monkeypatch.setenv("CLIQUET_STORAGE_URL", "elsewhere")
    monkeypatch.setenv("CLIQUET_TEST_REDIS_URL", "redis://localhost")
    (tmp_path / "test_one.py").write_text(
        "import os\n\ndef test():\n    print(sorted(os.environ))\n"
    )
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "PYTHON", sys.executable)
    dev.test(["-s", "-p", "no:cacheprovider"])
    seen = capfd.readouterr().out
    assert "'PATH'" in seen
    assert "'CLIQUET_TEST_REDIS_URL'" in seen
    assert "READONLY" not in seen
    assert "CLIQUET_STORAGE_URL" not in seen


@pytest.fixture
def programs(dev, tmp_path, monkeypatch):
    """A function that replaces a program by one that prints its arguments."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "PYTHON", sys.executable)
    monkeypatch.setattr(dev, "JAVASCRIPT_TESTS", "run.py")

    def program(name, says='"$0" "$@"', code=0):
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\necho {says}\nexit {code}\n")
        file.chmod(0o755)

    return program


@pytest.fixture
def javascript(dev, programs, tmp_path):
    """The folder of the JavaScript client, on a machine with everything that its tests require."""
    folder = tmp_path / dev.JAVASCRIPT
    (folder / "node_modules").mkdir(parents=True)
    (folder / "package-lock.json").touch()
    (folder / "node_modules" / ".package-lock.json").touch()
    (tmp_path / "run.py").write_text("print('tested')")
    programs("node", "v20.0.0")
    programs("npm")
    programs("chromium")
    return folder


@pytest.mark.parametrize("version, major", [("v20.0.0", 20), ("v18.20.4", 18)])
def test_major_version_of_node_is_parsed(dev, programs, version, major):
    programs("node", version)
    assert dev.node_version() == major


@pytest.mark.parametrize(
    "version, has_npm", [(None, False), ("v18.20.4", True), ("v20.0.0", False)]
)
def test_javascript_tests_are_skipped_without_node(
    dev, programs, version, has_npm, monkeypatch, capfd
):
    if version:
        programs("node", version)
    if has_npm:
        programs("npm")
    assert dev.javascript_steps({}) == []
    reason = "Node 20 or later and npm are required"
    assert capfd.readouterr().out == f"==> JavaScript client: skipped, because {reason}\n"
    monkeypatch.setenv("CI", "true")
    with pytest.raises(dev.CommandError, match=f"can't be skipped because CI is set, but {reason}"):
        dev.javascript_steps({})


def test_javascript_tests_are_run(dev, javascript, capfd):
    with dev.in_background(dev.javascript_steps({})) as failed:
        print("block")
    assert failed == []
    assert capfd.readouterr().out == "block\n==> JavaScript client\ntested\n"


def test_all_steps_in_the_background_run_in_order_and_failed_ones_are_named(dev, capfd):
    codes = {"one": 1, "two": 0, "three": 3, "four": 0}
    steps = [
        dev.Step(title, (sys.executable, "-c", f"print('by {title}'); exit({code})"))
        for title, code in codes.items()
    ]
    with dev.in_background(steps) as failed:
        print("block")
    assert failed == ["one", "three"]
    outputs = [line for title in codes for line in (f"==> {title}", f"by {title}")]
    assert capfd.readouterr().out.splitlines() == ["block", *outputs]


@pytest.mark.parametrize("during", ["the block", "the steps"])
def test_interrupt_cancels_the_waiting_steps(dev, tmp_path, monkeypatch, during):
    started, end, second = (tmp_path / name for name in ("started", "end", "second"))
    script = "import sys, pathlib, time\nstarted, end = map(pathlib.Path, sys.argv[1:])\n"
    script += "started.touch()\nwhile not end.exists(): time.sleep(0.01)\n"
    command = (sys.executable, "-c", script, str(started), str(end))
    steps = [dev.Step("first", command), dev.Step("second", ("touch", str(second)))]
    shutdown = dev.ThreadPoolExecutor.shutdown

    def shut_down(pool, wait=True, **options):
        """Let the first step end only after the others should have been cancelled."""
        if wait:
            end.touch()
        shutdown(pool, wait, **options)

    monkeypatch.setattr(dev.ThreadPoolExecutor, "shutdown", shut_down)
    with pytest.raises(KeyboardInterrupt), dev.in_background(steps):
        while not started.exists():
            time.sleep(0.01)
        if during == "the block":
            raise KeyboardInterrupt
        main = threading.main_thread().ident
        threading.Timer(0.1, signal.pthread_kill, [main, signal.SIGINT]).start()
    assert not second.exists()


def test_steps_get_the_environment_of_the_command_or_their_own(dev, monkeypatch, capfd):
    monkeypatch.setenv("FROM", "outside")
    command = (sys.executable, "-c", "import os; print(os.environ.get('FROM'))")
    steps = [dev.Step("one", command), dev.Step("two", command, {"FROM": "inside"})]
    with dev.in_background(steps):
        pass
    assert capfd.readouterr().out.splitlines() == ["==> one", "outside", "==> two", "inside"]


@pytest.mark.parametrize("is_there", [True, False])
def test_outdated_node_modules_are_installed(dev, javascript, is_there, capfd):
    installed = javascript / "node_modules" / ".package-lock.json"
    os.utime(installed, (0, 0)) if is_there else installed.unlink()
    install, tests = dev.javascript_steps({})
    with dev.in_background([install]) as failed:
        pass
    assert failed == []
    assert "/npm ci --prefix clients/javascript " in capfd.readouterr().out
    assert tests.title == "JavaScript client"


def test_demo_page_is_skipped_without_chromium(dev, javascript, tmp_path, capfd):
    (tmp_path / "chromium").unlink()
    assert [step.command for step in dev.javascript_steps({})] == [(sys.executable, "run.py")]
    assert capfd.readouterr().out == (
        "==> Demo page and API page: skipped, because chromium is not installed\n"
    )


def test_chromium_is_installed_in_continuous_integration(
    dev, javascript, programs, tmp_path, monkeypatch, capfd
):
    (tmp_path / "chromium").unlink()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(dev.CommandError, match="chromium is not installed"):
        dev.chromium_steps()  # and no apt-get
    programs("apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with dev.in_background(dev.javascript_steps({})):
        pass
    commands = [line for line in capfd.readouterr().out.splitlines() if not line.startswith("==>")]
    assert [command.partition("apt-get ")[2] or command for command in commands] == [
        "update",
        "install -y chromium",
        "tested",
    ]


def test_example_application_is_served_until_a_signal(tmp_path):
    port = str(free_port())
    urls = dict.fromkeys(
        [f"CLIQUET_{kind}_URL" for kind in ("STORAGE", "PERMISSION", "CACHE")],
        f"sqlite:///{tmp_path}/bookmarks.sqlite",
    )
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, "--port", port, "--threads", "2"],
        cwd=ROOT,
        env={**os.environ, **urls},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        out = []
        for line in process.stdout:
            out.append(line)
            if line.startswith("Press Ctrl-C"):
                break
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert "storage: ready\n" in out
    assert f"bookmarks 1.0 is ready: http://127.0.0.1:{port}/v1/\n" in out
    commands = [line for line in out if line.startswith("  curl ")]
    assert all(f"http://127.0.0.1:{port}/v1/bookmarks" in command for command in commands)
    assert len(commands) == 2
    # A command continues on the next line, and the page has a complete URL.
    assert commands[0].endswith("\\\n")
    assert f"http://127.0.0.1:{port}/demo/" in "".join(out)

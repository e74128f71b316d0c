"""Tests that leave out a line or a branch of the package fail, and name it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).with_name("measurement.py")
# With so many lines that the plugin removes the calls before those that were reached.
SIGNS = (
    """
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signs import Sign


def sign(number):
    if number < 0:
        return "-"
    return "+"


def absolute(number):
    if number < 0:
        number = -number
    return number


def plan():
    raise NotImplementedError


def unreachable():  # pragma: no cover
    return plan()
"""
    + "number = 0\n" * 500
)
ALL = ("signs.sign(-1)", "signs.sign(0)", "signs.absolute(-1)", "signs.absolute(0)")


@pytest.fixture
def measure(tmp_path):
    """A function that runs tests of a package, and returns the exit code and the report."""
    for folder in ("tests", "cliquet/testing/contracts"):
        tmp_path.joinpath(folder).mkdir(parents=True)
    files = {
        "cliquet/__init__.py": "",
        "cliquet/signs.py": SIGNS,
        "cliquet/testing/__init__.py": "",
        "cliquet/testing/contracts/__init__.py": "def test():\n    assert True\n",
        "tests/measurement.py": PLUGIN.read_text(),
    }
    for name, text in files.items():
        tmp_path.joinpath(name).write_text(text)

    def measure(*lines, options=(), others=None):
        tests = [f"def test_{number}():\n    {line}\n" for number, line in enumerate(lines)]
        text = "\n\n".join(["from cliquet import signs, testing", *tests])
        tmp_path.joinpath("tests/test_signs.py").write_text(text)
        for name, text in (others or {}).items():
            tmp_path.joinpath(name).write_text(text)
        command = [sys.executable, "-m", "pytest", "-p", "tests.measurement", "-q", *options]
        path = os.pathsep.join(
            each for each in sys.path if Path(each).resolve() != PLUGIN.parents[1]
        )
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        print(done.stdout, done.stderr)
        report = done.stdout.partition("= coverage =")[2]
        return done.returncode, [line.split() for line in report.splitlines() if ".py" in line]

    return measure


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["one process", "two processes"])
def test_all_lines_and_branches_can_be_reached_by_several_tests(measure, options):
    assert measure(*ALL, options=options) == (0, [])


def test_lines_and_branches_that_are_not_reached_are_named(measure):
    others = {"cliquet/alone.py": "alone = True\n"}
    code, files = measure("signs.sign(-1)", "signs.absolute(-1)", others=others)
    assert code == 1
    (alone, *_, missing_alone), (signs, *_, line, branch) = files
    assert (alone, missing_alone) == ("cliquet/alone.py", "1")
    assert (signs, line, branch) == ("cliquet/signs.py", "11,", "15->17")


def test_failed_tests_keep_their_exit_code(measure):
    assert measure("assert False", "import sys; sys.exit(3)")[0] == 1
    assert measure("import pytest; pytest.exit('now', 7)")[0] == 7


def test_process_that_crashes_fails_its_test_and_has_reached_nothing(measure):
    code, files = measure("import os; os._exit(7)", options=("-n1",))
    assert code == 1
    assert "cliquet/signs.py" in [file for file, *_ in files]

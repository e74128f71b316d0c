"""A pytest plugin that requires tests to reach each line and branch of ``cliquet/``.

``pytest -p tests.measurement`` also measures the workers of pytest-xdist, but no other processes.
SlipCover inserts a call before each line and in each branch of a module when it is imported. This
plugin removes the calls that have been made, so that tests are hardly slowed down. On Python 3.11,
a ``finally`` of one line counts as reached only if a test also reaches it without an exception.
"""

import ast
import io
import json
import sys
from contextlib import suppress
from functools import reduce
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path

import pytest
import slipcover
from slipcover.branch import preinstrument

PACKAGE = Path(__file__).resolve().parent.parent / "cliquet"
TESTS = PACKAGE / "testing" / "contracts"
#: Number of misses after which SlipCover removes calls by itself: never, because it would interrupt
#: tests for tens of milliseconds.
NEVER = 2**31 - 1
#: Number of new lines and branches from which removing their calls is worth this time.
ENOUGH = 300

measured = slipcover.Slipcover(
    branch=True,
    source=[str(PACKAGE)],
    omit=[f"{TESTS}/*"],
    exclude_also=["raise NotImplementedError"],
    d_miss_threshold=NEVER,
)
_of_processes = []
COVERAGE = pytest.StashKey()


class Loader(SourceFileLoader):
    """Load a module whose lines and branches are measured."""

    def get_code(self, fullname):
        tree = preinstrument(ast.parse(self.get_data(self.path)))
        return measured.instrument(compile(tree, self.path, "exec", dont_inherit=True))

    def exec_module(self, module):
        measured.register_module(module)
        super().exec_module(module)


class Finder:
    """Find the modules that are measured."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] != PACKAGE.name:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or not is_measured(Path(spec.origin or "")):
            return None
        spec.loader = Loader(name, spec.origin)
        return spec


def is_measured(path):
    return path.is_relative_to(PACKAGE) and not path.is_relative_to(TESTS)


def remove_calls():
    """Remove the calls before lines that have been reached, if there are enough of them."""
    if sum(map(len, list(measured.newly_seen.values()))) >= ENOUGH:
        with suppress(RuntimeError):  # a thread is importing a module: try again later
            measured.deinstrument_seen()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown():
    if sys.version_info < (3, 12):  # later versions of Python disable the calls themselves
        remove_calls()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Store the coverage of a pytest-xdist worker, unless it crashed."""
    if hasattr(node, "workeroutput"):
        _of_processes.append(json.loads(node.workeroutput["coverage"]))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    coverage = measured.get_coverage()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["coverage"] = json.dumps(coverage)
        return
    coverage = reduce(slipcover.merge_coverage, _of_processes, coverage)
    session.config.stash[COVERAGE] = coverage
    if coverage["summary"]["percent_covered"] < 100 and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    table = io.StringIO()
    slipcover.print_coverage(config.stash[COVERAGE], outfile=table, skip_covered=True)
    terminalreporter.section("coverage")
    terminalreporter.write(table.getvalue())


assert PACKAGE.name not in sys.modules, "the plugin must be loaded before the package"
sys.meta_path.insert(0, Finder)

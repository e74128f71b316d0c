"""The plugin of the guide: its own tests, and its distribution."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.docs.pages import block

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plugin(examples, tmp_path):
    """A copy: what is built leaves files behind."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist")
    return shutil.copytree(examples / "cliquet-quotas", tmp_path / "plugin", ignore=ignored)


def run(plugin, *command):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(plugin), str(ROOT)))}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=plugin,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_plugin_passes_its_own_tests(plugin):
    assert "8 passed" in run(plugin, "pytest", "-q", "-p", "no:cacheprovider", "tests")


def test_plugin_can_be_published(plugin):
    run(plugin, "build", "--wheel", "--no-isolation")
    (wheel,) = plugin.glob("dist/*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"cliquet_quotas/__init__.py", "cliquet_quotas/views.py"} <= set(names)


def test_plugin_is_switched_on_by_the_settings(serve, settings_of):
    client = serve("bookmarks_resource", settings=settings_of("plugin.ini"))
    assert client.get("/quotas/bookmark").json == {"used": 0, "max_records": 1000}


def test_tree_of_the_guide_is_that_of_the_plugin(plugin):
    shown = {name for name in block("howto/plugin", "text").split() if not name.endswith("/")}
    assert shown == {path.name for path in plugin.rglob("*") if path.is_file()}

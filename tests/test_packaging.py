"""The distribution: made as a release is, installed, and used away from the checkout."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PURELIB = Path(sysconfig.get_path("purelib"))
SOURCES = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.rst", "LICENSE")

READ_DATA_FILES = """
import importlib.resources, sys
package = importlib.resources.files("cliquet")
for name in sys.argv[1:]:
    package.joinpath(name).read_bytes()
print(package)
"""


def files_of_package():
    """Return the files that the wheel must contain: all below ``cliquet/``, except caches."""
    package = ROOT / "cliquet"
    return sorted(
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel made from the source distribution, itself made from a copy of the checkout."""
    checkout = tmp_path_factory.mktemp("checkout") / "cliquet"
    checkout.mkdir()
    for name in SOURCES:
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(
        ROOT / "cliquet", checkout / "cliquet", ignore=shutil.ignore_patterns("__pycache__")
    )
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", str(checkout)],
        cwd=checkout,
        check=True,
        capture_output=True,
    )
    (wheel,) = checkout.glob("dist/*.whl")
    return wheel


#: Settings of pip, so that it ignores the packages that are installed with it.
PIP = {
    **dict.fromkeys(("PIP_QUIET", "PIP_NO_INDEX", "PIP_NO_DEPS", "PIP_IGNORE_INSTALLED"), "1"),
    # 0 disables these: pip assigns the value to the opposite options.
    **dict.fromkeys(("PIP_NO_COMPILE", "PIP_NO_BUILD_ISOLATION"), "0"),
}


def pip_install(scripts, *arguments, folder=None):
    """Install packages in an environment with our pip; return its output."""
    done = subprocess.run(
        [scripts / "python", "-m", "pip", "install", *arguments],
        cwd=folder,
        env={**os.environ, **PIP, "PYTHONPATH": str(PURELIB)},
        check=True,
        capture_output=True,
    )
    return done.stdout


def create_environment(folder, *wheels):
    """Create an environment in which wheels are installed; return its scripts and packages."""
    venv.create(folder, symlinks=True)
    scripts = folder / "bin"
    if wheels:
        pip_install(scripts, *wheels)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    return scripts, site_packages


def borrow_dependencies(site_packages):
    """Make all packages of this environment available in another one."""
    # Paths read from a .pth file come last, and the .pth files found there are not read: the
    # dependencies are found, the checkout of an editable installation is not.
    site_packages.joinpath("borrowed.pth").write_text(str(PURELIB))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """The scripts of an environment where the wheel is installed, and what it needs borrowed."""
    scripts, site_packages = create_environment(tmp_path_factory.mktemp("environment"), wheel)
    borrow_dependencies(site_packages)
    return scripts


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_wheel_has_every_file_of_the_package(wheel):
    inside = {
        name.removeprefix("cliquet/")
        for name in zipfile.ZipFile(wheel).namelist()
        if name.startswith("cliquet/")
    }
    assert inside == set(files_of_package())
    assert "py.typed" in inside


def test_wheel_has_nothing_but_the_package(wheel):
    top = {Path(name).parts[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert top == {"cliquet", "cliquet-3.2.0.dist-info"}


def test_installed_package_reads_its_data_files(environment, tmp_path):
    data_files = [name for name in files_of_package() if not name.endswith(".py")]
    place = run([environment / "python", "-c", READ_DATA_FILES, *data_files], tmp_path)
    assert Path(place).is_relative_to(environment.parent)


def test_installed_package_can_be_imported(environment, tmp_path):
    version = run(
        [environment / "python", "-c", "import cliquet; print(cliquet.__version__)"], tmp_path
    )
    assert version == "3.2.0"


def test_command_is_installed(environment, tmp_path):
    assert "3.2.0" in run([environment / "cliquet", "--version"], tmp_path)


@pytest.fixture(scope="module")
def folder(wheel):
    """A folder with a clone, in which the wheel was built."""
    clone = wheel.parent.parent
    git = ["git", "-C", clone, "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for arguments in (["init"], ["add", "."], ["commit", "--message=First"]):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    return clone.parent


def readme_commands():
    """The commands of the README that install the package: from a clone, a wheel and Git."""
    commands = re.findall(r"^    \$ (pip install '.+')$", (ROOT / "README.rst").read_text(), re.M)
    return [command for command in commands if "../" not in command]


@pytest.mark.parametrize(
    ("command", "requirement"),
    [
        *zip(
            readme_commands(),
            (
                r"cliquet\[serve\] @ file://{folder}/cliquet",
                r"cliquet\[serve\] @ file://{folder}/cliquet/dist/cliquet-3.2.0-py3-none-any.whl",
                r"cliquet\[serve\] @ git\+file://localhost{folder}/cliquet@[0-9a-f]{{40}}",
            ),
            strict=True,
        )
    ],
    ids=("clone", "wheel", "git"),
)
def test_install_commands_of_the_readme_and_their_projects_resolve(
    command, requirement, folder, tmp_path
):
    """In a clean environment each; a project made there depends on the same source."""
    command = command.replace(
        "https://git.example.com/cliquet.git", f"file://localhost{folder}/cliquet"
    )
    scripts, site_packages = create_environment(tmp_path / "mine")
    borrow_dependencies(site_packages)
    pip_install(scripts, *shlex.split(command)[2:], folder=folder)
    run([scripts / "cliquet", "new", "service"], tmp_path)
    project = tomllib.loads((tmp_path / "service" / "pyproject.toml").read_text())
    (written,) = project["project"]["dependencies"]
    assert re.fullmatch(requirement.format(folder=folder), written)
    report = json.loads(pip_install(scripts, "--dry-run", "--report=-", written))
    (found,) = report["install"]
    assert (found["metadata"]["name"], found["metadata"]["version"]) == ("cliquet", "3.2.0")


# The distribution of the Python client.

#: Packages that the client needs, with what these need.
CLIENT_NEEDS = (
    "anyio*",
    "certifi*",
    "charset_normalizer*",
    "*__mypyc*",
    "h11*",
    "httpcore*",
    "httpx*",
    "idna*",
    "requests*",
    "typing_extensions*",
    "urllib3*",
)

USE_CLIENT = """
import importlib.util
from cliquet.client import AsyncClient, Client, __version__
print(Client("http://localhost/v1"), AsyncClient("http://localhost/v1"), __version__)
print(importlib.util.find_spec("pyramid") is not None)
"""


@pytest.fixture(scope="module")
def client_wheel(tmp_path_factory):
    """A wheel of the client, built from its source distribution."""
    folder = tmp_path_factory.mktemp("client") / "python"
    ignored = shutil.ignore_patterns("__pycache__", "build", "dist", "*.egg-info")
    shutil.copytree(ROOT / "clients" / "python", folder, ignore=ignored)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", folder], check=True, capture_output=True
    )
    (wheel,) = folder.glob("dist/*.whl")
    return wheel


def test_wheel_of_the_client_has_its_modules_and_no_others(client_wheel):
    expected = {f"cliquet/{name}" for name in files_of_package() if name.startswith("client/")}
    names = zipfile.ZipFile(client_wheel).namelist()
    assert {name for name in names if name.startswith("cliquet/")} == expected
    assert {Path(name).parts[0] for name in names} == {"cliquet", "cliquet_client-3.2.0.dist-info"}


def test_client_works_without_the_toolkit(client_wheel, tmp_path):
    scripts, site_packages = create_environment(tmp_path / "environment", client_wheel)
    needs = {path for pattern in CLIENT_NEEDS for path in PURELIB.glob(pattern)}
    for path in needs:
        site_packages.joinpath(path.name).symlink_to(path)
    assert run([scripts / "python", "-c", USE_CLIENT], tmp_path).splitlines() == [
        "<Client http://localhost/v1> <AsyncClient http://localhost/v1> 3.2.0",
        "False",
    ]


def test_client_works_next_to_the_toolkit(wheel, client_wheel, tmp_path):
    scripts, site_packages = create_environment(tmp_path / "environment", wheel, client_wheel)
    borrow_dependencies(site_packages)
    use_both = "import cliquet\nprint(cliquet.__version__)\n" + USE_CLIENT
    assert run([scripts / "python", "-c", use_both], tmp_path).splitlines() == [
        "3.2.0",
        "<Client http://localhost/v1> <AsyncClient http://localhost/v1> 3.2.0",
        "True",
    ]


def test_toolkit_contains_the_client(environment, tmp_path):
    assert "AsyncClient" in run([environment / "python", "-c", USE_CLIENT], tmp_path)

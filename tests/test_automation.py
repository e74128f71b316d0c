"""The configuration files of continuous integration and other services agree with the project."""

import configparser
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = ROOT / ".github" / "workflows"
FILES = sorted(
    path
    for pattern in (".github/**/*.yml", ".*.yaml", "docker-compose.yml")
    for path in ROOT.glob(pattern)
)


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs():
    return load(WORKFLOWS / "tests.yml")["jobs"]


def matrix(job):
    """Return the versions or environments of the one axis of a job."""
    (values,) = jobs()[job]["strategy"]["matrix"].values()
    return values


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def tox():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "tox.ini")
    return parser


def test_configuration_files_exist():
    names = {str(path.relative_to(ROOT)) for path in FILES}
    assert {
        ".github/dependabot.yml",
        ".github/workflows/release.yml",
        ".github/workflows/tests.yml",
        ".pre-commit-config.yaml",
        ".readthedocs.yaml",
    } <= names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_configuration_file_is_a_yaml_mapping(path):
    assert isinstance(load(path), dict)


def test_tests_run_with_each_supported_version_of_python():
    classifiers = re.findall(r"Python :: (3\.\d+)", "\n".join(project()["classifiers"]))
    assert matrix("python") == classifiers
    assert project()["requires-python"] == f">={classifiers[0]}"
    environments = tox()["tox"]["envlist"].split(", ")
    assert [name for name in environments if name.startswith("py")] == [
        f"py{version.replace('.', '')}" for version in classifiers
    ]


def test_tests_run_with_each_supported_version_of_postgresql():
    assert matrix("postgresql") == ["15", "16", "17", "18"]
    service = jobs()["postgresql"]["services"]["postgresql"]
    assert service["image"] == "postgres:${{ matrix.postgresql }}"
    assert "CLIQUET_TEST_POSTGRESQL_URL" in jobs()["postgresql"]["env"]


def test_tox_has_the_environments_that_workflows_run():
    names = {section.removeprefix("testenv:") for section in tox().sections()}
    assert set(matrix("checks")) <= names
    for step in steps(load(WORKFLOWS / "tests.yml")):
        for name in re.findall(r"tox run -e (\w+)", step.get("run", "")):
            assert name == "py" or name in names


def test_paths_of_the_workflows_exist():
    for step in steps(load(WORKFLOWS / "tests.yml")):
        for path in re.findall(r"(?<=\s)(?:tests/\w+|\.ci/\w+)", f" {step.get('run', '')}"):
            assert (ROOT / path).exists(), path


def test_extras_of_configuration_files_exist():
    extras = set(project()["optional-dependencies"])
    for section in tox().values():
        assert {name for name in re.split(r",\s*", section.get("extras", "")) if name} <= extras
    (command,) = load(ROOT / ".readthedocs.yaml")["build"]["jobs"]["install"]
    assert set(re.search(r"\[(.+)\]", command)[1].split(",")) <= extras


def test_release_is_published_without_a_password():
    publish = load(WORKFLOWS / "release.yml")["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert "secrets." not in (WORKFLOWS / "release.yml").read_text()


def test_pre_commit_has_the_pinned_version_of_ruff():
    (revision,) = (
        repository["rev"]
        for repository in load(ROOT / ".pre-commit-config.yaml")["repos"]
        if "ruff" in repository["repo"]
    )
    assert f"ruff=={revision.removeprefix('v')}\n" in (ROOT / "constraints.txt").read_text()


def test_dependabot_updates_each_kind_of_dependency():
    folders = {
        update["package-ecosystem"]: update["directory"]
        for update in load(ROOT / ".github" / "dependabot.yml")["updates"]
    }
    files = {"pip": "pyproject.toml", "npm": "package.json", "docker": "Dockerfile"}
    assert set(folders) == {*files, "github-actions"}
    for ecosystem, name in files.items():
        assert ROOT.joinpath(folders[ecosystem].strip("/"), name).exists()

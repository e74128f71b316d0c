"""Who imports whom: the modules of the package are rooms that know only those below."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(ROOT.joinpath("cliquet").rglob("*.py"))

#: What the leaves may import of the package.
LEAVES = {
    "cliquet.utils": {"cliquet.utils"},
    "cliquet.utils.http": {"cliquet.utils"},
    "cliquet.utils.json": {"cliquet.utils"},
    "cliquet.utils.schemas": set(),
    "cliquet.utils.text": {"cliquet.utils"},
    "cliquet.storage.exceptions": set(),
    "cliquet.errors": {"cliquet.utils"},
    "cliquet.kinds": {"cliquet.utils"},
    "cliquet.settings": {"cliquet.kinds", "cliquet.settings", "cliquet.utils"},
    "cliquet.settings.table": {"cliquet.kinds"},
    "cliquet.checks": {"cliquet.kinds", "cliquet.settings", "cliquet.utils"},
    "cliquet.metrics": set(),
    "cliquet.statsd": {"cliquet.checks", "cliquet.metrics", "cliquet.settings", "cliquet.utils"},
    "cliquet.transactions": set(),
    "cliquet.storage.generators": {"cliquet.utils"},
    "cliquet.resource.schema": {"cliquet.utils"},
}

#: The client is at the other end of HTTP: it has nothing of the service.
CLIENT = "cliquet.client"

#: Rooms, and those above them, which they know nothing of.
BELOW = {
    "cliquet.storage": {"cliquet.resource", "cliquet.views", "cliquet.initialization"},
    "cliquet.permission": {"cliquet.resource", "cliquet.views", "cliquet.initialization"},
    "cliquet.cache": {"cliquet.resource", "cliquet.views", "cliquet.initialization"},
    "cliquet.resource": {"cliquet.views", "cliquet.initialization", "cliquet.scripts"},
    "cliquet.views": {"cliquet.initialization", "cliquet.scripts"},
    "cliquet.initialization": {"cliquet.scripts"},
}

#: The model knows no HTTP, and what was asked is computed by plain functions.
WITHOUT_HTTP = (
    "cliquet.resource.model",
    "cliquet.storage",
    "cliquet.permission",
    "cliquet.cache",
)
HTTP = {"pyramid.httpexceptions", "pyramid.request", "pyramid.response", "cornice", "webob"}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}


def imports_of(tree):
    """The modules that are imported: of ``from a import b``, ``a.b`` if that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                ours = is_in(node.module, {"cliquet"})
                yield node.module if ours and full not in NAMES else full


def imported_by(name):
    (path,) = [path for path in MODULES if name_of(path) == name]
    return set(imports_of(ast.parse(path.read_text(encoding="utf-8"))))


def is_in(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def of_package(names):
    return {name for name in names if is_in(name, {"cliquet"})}


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_leaf_imports_nothing_upward(name):
    upward = {found for found in of_package(imported_by(name)) if not is_in(found, LEAVES[name])}
    assert upward == set()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_module_does_not_know_those_above(name):
    above = {room for package, rooms in BELOW.items() if is_in(name, {package}) for room in rooms}
    assert {found for found in of_package(imported_by(name)) if is_in(found, above)} == set()


@pytest.mark.parametrize("name", sorted(name for name in NAMES if is_in(name, WITHOUT_HTTP)))
def test_records_and_backends_know_no_http(name):
    assert {found for found in imported_by(name) if is_in(found, HTTP)} == set()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_client_and_service_know_nothing_of_one_another(name):
    is_client = is_in(name, {CLIENT})
    found = of_package(imported_by(name))
    assert {other for other in found if is_in(other, {CLIENT}) != is_client} == set()


def inner_imports(tree):
    """The modules that are imported inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for child in ast.walk(node):
                if isinstance(child, (ast.Import, ast.ImportFrom)):
                    yield from imports_of(child)


#: Drivers that an installation may lack: the engine tells so when it is chosen.
OPTIONAL = {"psycopg2", "redis", "sqlalchemy"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_import_nothing_but_optional_drivers(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert {name for name in inner_imports(tree) if not is_in(name, OPTIONAL)} == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_imports_the_package_of_setuptools(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not any(is_in(name, {"pkg_resources", "setuptools"}) for name in imports_of(tree))


def test_functions_that_import_are_found():
    tree = ast.parse("import a\ndef f():\n    import b\n    def g():\n        from c import d\n")
    assert set(inner_imports(tree)) == {"b", "c.d"}


def test_every_module_is_looked_at():
    assert {"cliquet", "cliquet.utils", "cliquet.storage.memory"} <= NAMES
    assert set(LEAVES) | set(BELOW) <= NAMES

"""Imports between modules: each package only imports from lower layers. And their size."""

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(ROOT.joinpath("cliquet").rglob("*.py"))

#: The packages and top-level modules, from the top down: each imports only from those below.
LAYERS = (
    {"__main__"},
    {"scripts", "tests"},
    {"testing", "cliquet"},
    {"asgi"},
    {"live"},
    {"openapi", "prometheus", "statsd", "initialization"},
    {"views"},
    {"listeners"},
    {"schema", "heartbeats", "middlewares", "groups"},
    {"resource"},
    {"http"},
    {"refusals"},
    {"authorization"},
    {"authentication", "events", "errors", "logs", "principals", "permission_settings"},
    {"storage", "permission", "cache"},
    {"drivers"},
    {"loggers", "metrics", "transactions"},
    {"settings"},
    {"utils", "state"},
    {"types"},
)
LAYER_OF = {package: depth for depth, layer in enumerate(LAYERS) for package in layer}

#: The client is at the other end of HTTP: it shares nothing with the service.
CLIENT = "cliquet.client"

#: Modules that are independent of HTTP.
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


PATHS = {name_of(path): path for path in MODULES}
NAMES = set(PATHS)


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(tree):
    return tuple(ast.walk(tree))


def imports_of(tree):
    """The modules that are imported: of ``from a import b``, ``a.b`` if that is a module."""
    for node in nodes_of(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                ours = is_in(node.module, {"cliquet"})
                yield node.module if ours and full not in NAMES else full


@cache
def imported_by(name):
    return set(imports_of(tree_of(PATHS[name])))


def is_in(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def of_package(names):
    return {name for name in names if is_in(name, {"cliquet"})}


def package_of(name):
    return (name.split(".") + ["cliquet"])[1] if "." in name else "cliquet"


def test_modules_import_only_from_packages_below():
    upward = [
        (name, other)
        for name in NAMES
        if not is_in(name, {CLIENT})
        for other in {package_of(imported) for imported in of_package(imported_by(name))}
        if other != package_of(name) and LAYER_OF[other] <= LAYER_OF[package_of(name)]
    ]
    assert upward == []


def test_modules_import_each_other_in_one_direction():
    imports = {name: of_package(imported_by(name)) - {name} for name in NAMES}
    TopologicalSorter(imports).prepare()  # raises CycleError


def test_records_and_backends_do_not_import_http():
    names = [name for name in NAMES if is_in(name, WITHOUT_HTTP)]
    imports = [(name, other) for name in names for other in imported_by(name) if is_in(other, HTTP)]
    assert imports == []


def test_client_and_service_do_not_import_each_other():
    imports = [
        (name, other)
        for name in NAMES
        for other in of_package(imported_by(name))
        if is_in(other, {CLIENT}) != is_in(name, {CLIENT})
    ]
    assert imports == []


def inner_imports(tree):
    """The modules that are imported inside a function."""
    for node in nodes_of(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for child in ast.walk(node):
                if isinstance(child, (ast.Import, ast.ImportFrom)):
                    yield from imports_of(child)


def test_functions_contain_no_imports():
    """Optional packages are loaded with ``import_optional()``."""
    found = {name_of(path): set(inner_imports(tree_of(path))) for path in MODULES}
    assert {name: imports for name, imports in found.items() if imports} == {}


def test_no_module_imports_setuptools_or_pkg_resources():
    packages = {"pkg_resources", "setuptools"}
    imports = {name_of(path): imports_of(tree_of(path)) for path in MODULES}
    assert [name for name in imports if any(is_in(each, packages) for each in imports[name])] == []


def test_functions_that_import_are_found():
    tree = ast.parse("import a\ndef f():\n    import b\n    def g():\n        from c import d\n")
    assert set(inner_imports(tree)) == {"b", "c.d"}


def test_modules_have_at_most_400_lines_and_functions_40():
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        for node in nodes_of(tree_of(path))
        if isinstance(node, functions) and node.end_lineno - node.lineno >= 40
    ]
    long += [
        name_of(path)
        for path in MODULES
        if len(path.read_text(encoding="utf-8").splitlines()) > 400
    ]
    assert long == []


def test_every_module_is_looked_at():
    assert {"cliquet", "cliquet.utils", "cliquet.storage.memory"} <= NAMES
    assert {package_of(name) for name in NAMES} == {*LAYER_OF, "client"}


def test_the_contributing_guide_lists_the_packages_in_the_order_of_the_layers():
    guide = ROOT.joinpath("CONTRIBUTING.rst").read_text(encoding="utf-8")
    rows = re.findall(r"^((?:``[\w/.]+``(?:, )?)+)  ", guide, re.MULTILINE)
    names = [re.findall(r"``([\w/.]+)``", row) for row in rows]
    packages = [[name.rstrip("/").removesuffix(".py") for name in row] for row in names]
    in_guide = [name.replace("__init__", "cliquet") for row in packages for name in row]
    assert sorted(in_guide) == sorted({package_of(name) for name in NAMES})
    depths = [LAYER_OF[name] for name in in_guide if name != "client"]
    assert depths == sorted(depths)

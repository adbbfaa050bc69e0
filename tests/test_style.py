"""Rules that no linter here enforces: file sizes, docstrings, portable text, forbidden calls."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "tierline"
SOURCES = sorted(PACKAGE.rglob("*.py"))
RUST_SOURCES = sorted((ROOT / "rust" / "src").rglob("*.rs"))


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


# A longer file is asking to be split. The native stub is one page on purpose; tests are lists.
LINES_MAX = 400


@pytest.mark.parametrize(
    "path", [path for path in (*SOURCES, *RUST_SOURCES) if path.name != "tests.rs"], ids=_id
)
def test_a_file_is_short_enough_to_read_at_once(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES_MAX


def undocumented(source: str) -> list[str]:
    """Public modules, classes, functions and methods without a docstring."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else ["the module"]

    def look(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            # An overload is a signature; the function it belongs to has the text.
            if node.name.startswith("_") or "overload" in map(ast.unparse, node.decorator_list):
                continue
            if not ast.get_docstring(node):
                found.append(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{prefix}{node.name}.")

    look(tree.body, "")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=_id)
def test_everything_public_says_what_it_is(path: Path) -> None:
    assert undocumented(path.read_text(encoding="utf-8")) == []


def test_a_missing_docstring_is_found() -> None:
    source = "class A:\n    def f(self): ...\n    def _g(self): ...\ndef _h(): ...\ndef i(): ...\n"
    assert undocumented(source) == ["the module", "A", "A.f", "i"]


# Text in the repository must be true on every machine: no checkout's or account's folder, and no
# package index that only some networks reach. A link to the public one is no setting; the account
# `ada` is made up, for examples.
_MACHINE = re.compile(
    r"(?<![\w.~$}-])/(?:work|root|home/(?!ada/)[A-Za-z0-9_-]+|Users/[A-Za-z0-9_-]+)/"
    r"|https?://[^\s\"']*(?:/simple\b|artifactory|nexus|devpi)"
    r"|(?i:\bindex[_-]url\b)"
)


def machine_words(text: str) -> list[str]:
    """Paths and hosts of one machine or network in a text."""
    return _MACHINE.findall(text)


def _committed() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    names = listed.stdout.split("\0")[:-1] if listed.returncode == 0 else []
    yield from (ROOT / name for name in names if (ROOT / name).is_file())


def test_no_text_is_true_on_one_machine_only() -> None:
    committed = list(_committed())
    if not committed:
        pytest.skip("the tests do not run in a git checkout")
    found: dict[str, list[str]] = {}
    for path in committed:
        # Binary files, such as images, have no text.
        text = path.read_text(encoding="utf-8", errors="ignore")
        if words := machine_words(text):
            found[_id(path)] = words
    assert found == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see |work|main|tests", True),
        ("'|root|.cache|tierline'", True),
        ("file:|||home|bob|flights", True),
        ("file:|||home|ada|flights", False),
        ("https:||mirror.example|simple|tierline", True),
        ("index+url = http:||10.0.0.1", True),
        ("~|work|tierline", False),
        ("$HOME|.cache", False),
        ("python|tierline|", False),
        ("docs|home|index.md", False),
        ("https:||example.com|work|", False),
        ("https:||pypi.org|project|tierline", False),
    ],
)
def test_what_is_true_on_one_machine_only_is_found(text: str, *, found: bool) -> None:
    # Bars and plus signs stand for slashes and hyphens: this file keeps its own rule.
    assert bool(machine_words(text.replace("|", "/").replace("+", "-"))) is found


Rule = Callable[[ast.AST], bool]


def _called(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def _imported(node: ast.AST) -> set[str]:
    match node:
        case ast.Import(names=names):
            return {alias.name.split(".")[0] for alias in names}
        case ast.ImportFrom(module=str(module)):
            return {module.split(".")[0]}
        case _:
            return set()


def runs_data_as_code(node: ast.AST) -> bool:
    """Bytes from Redis, a sheet or a file are data; each of these would run them as code."""
    loaders = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}
    names = {"eval", "exec", "compile", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
    return bool(_imported(node) & loaders) or _called(node) in names


def runs_a_shell(node: ast.AST) -> bool:
    """A shell would give meaning to the characters of a path or URL."""
    if _called(node) in ("os.system", "os.popen", "subprocess.getoutput"):
        return True
    return isinstance(node, ast.Call) and any(
        keyword.arg == "shell" and ast.unparse(keyword.value) != "False"
        for keyword in node.keywords
    )


def reads_the_wall_clock(node: ast.AST) -> bool:
    """The wall clock jumps; durations, limits and times to live are counted on the monotonic."""
    from_time = isinstance(node, ast.ImportFrom) and node.module == "time"
    called = _called(node).rpartition(".")
    return (from_time and any(alias.name in ("time", "time_ns") for alias in node.names)) or (
        called[0] == "time" and called[2] in ("time", "time_ns")
    )


_SQL = re.compile(
    r"\s*(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|DROP|ALTER|TRUNCATE|COPY|GRANT|REVOKE"
    r"|LISTEN|NOTIFY|SET|WITH|EXPLAIN|LOCK) "
)


def composes_sql(node: ast.AST) -> bool:
    """SQL text is made where identifiers are quoted, so that one place has to be right."""
    match node:
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), _, *_]):
            return bool(_SQL.match(text))
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Add() | ast.Mod()):
            return bool(_SQL.match(text))
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
            return bool(_SQL.match(text))
        case _:
            return False


# Where a rule does not hold, and why; a folder stands for what is in it.
EXCEPTIONS: dict[Rule, dict[str, str]] = {
    runs_data_as_code: {},
    runs_a_shell: {},
    reads_the_wall_clock: {
        "cache/redis.py": "processes that share Redis have no other clock in common",
        "cache/floors.py": "the same",
    },
    composes_sql: {
        "sql/": "its job",
        "postgres/": "the driver's side: sessions, COPY and the embedded server's database",
        "testing/": "throw-away servers: a constant name, never a user's",
    },
}


def breaches(rule: Rule, source: str) -> list[int]:
    """The lines on which a source breaks a rule."""
    return [getattr(node, "lineno", 0) for node in ast.walk(ast.parse(source)) if rule(node)]


def _rule_name(rule: object) -> str:
    return getattr(rule, "__name__", str(rule))


@pytest.mark.parametrize("rule", EXCEPTIONS, ids=_rule_name)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    found = {
        name: lines
        for path in SOURCES
        if not (name := str(path.relative_to(PACKAGE))).startswith(tuple(EXCEPTIONS[rule]))
        and (lines := breaches(rule, path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize("rule", EXCEPTIONS, ids=_rule_name)
def test_no_exception_outlives_its_reason(rule: Rule) -> None:
    for name in EXCEPTIONS[rule]:
        texts = [
            path.read_text(encoding="utf-8")
            for path in SOURCES
            if str(path.relative_to(PACKAGE)).startswith(name)
        ]
        assert any(breaches(rule, text) for text in texts), name


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (runs_data_as_code, "import pickle"),
        (runs_data_as_code, "from marshal import loads"),
        (runs_data_as_code, "eval(text)"),
        (runs_data_as_code, "yaml.load(text)"),
        (runs_a_shell, "subprocess.run(line, shell=True)"),
        (runs_a_shell, "os.system(line)"),
        (reads_the_wall_clock, "age = time.time() - began"),
        (reads_the_wall_clock, "from time import time"),
        (composes_sql, "f'SELECT {column}'"),
        (composes_sql, "'DROP TABLE ' + name"),
        (composes_sql, "'UPDATE %s SET a = 1' % name"),
        (composes_sql, "'SELECT * FROM {}'.format(name)"),
    ],
    ids=_rule_name,
)
def test_a_breach_is_found(rule: Rule, source: str) -> None:
    assert breaches(rule, source) == [1]


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (runs_data_as_code, "re.compile('a'); msgspec.json.decode(b'1')"),
        (runs_a_shell, "subprocess.run([program], shell=False)"),
        (reads_the_wall_clock, "began = time.monotonic()"),
        (composes_sql, "f'{table}: {n} rows'; 'SELECT 1'; f'selected {n}'"),
    ],
    ids=_rule_name,
)
def test_what_keeps_the_rule_is_let_be(rule: Rule, source: str) -> None:
    assert breaches(rule, source) == []

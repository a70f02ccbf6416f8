"""The style of the code, as numbers and tables that a test can hold.

Ruff and import-linter hold the rest. What stands here is what they cannot say.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import feedback_store

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "feedback_store"

MAX_FILE_LINES = 300
# From `def` to the last line, blank lines and comments included, the docstring not: a function
# must never get shorter by saying less about itself.
MAX_FUNCTION_LINES = 50

# The one home of each library: a module, or a package with all that is in it.
HOMES = {
    "anyio": "aio",
    "apscheduler": "snapshot/schedule",
    "cachetools": "layers/cache|backends/objects/months",
    "cattrs": "codec",
    "click": "cli",
    "filelock": "backends/jsonl|snapshot/locking",
    "fsspec": "backends/objects|snapshot/places",
    "hypothesis": "testing",
    "msgspec": "codec|wire|cursor",
    "portalocker": "backends/jsonl",
    "psycopg": "backends/postgres",
    "pyarrow": "snapshot/parquet",
    "pyrage": "snapshot/encrypting",
    "pytest": "testing",
    "rich": "cli",
    "sqlite3": "backends/sqlite",
    "trio": "aio",
}

# What a suppression must look like once its codes are taken away: some words that say why.
SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:\s*ignore)", re.IGNORECASE)
WITH_CODES = re.compile(
    r"#\s*(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|(?:type|pyright):\s*ignore\[[\w\-, ]+\])"
)
REASON = re.compile(r"\w+\W+\w+")

# Folders of one person's machine. Paths that a manual may name, such as /var/lib, are fine.
OWN_FOLDER = re.compile(r"(?<![\w.~}])/(?:home|root|Users|work)/\w|\b[A-Z]:\\+Users\b")
TEXT_FOLDERS = ("src", "tests", "docs", "examples", "benchmarks", ".ci", ".github")
NOT_TEXT = {".gz", ".zst", ".db", ".parquet", ".png", ".pyc"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[Path, ast.Module]:
    """Return the syntax tree of every module of the package, by its path below the package."""
    files = sorted(SRC.rglob("*.py"))
    return {file.relative_to(SRC): ast.parse(file.read_text("utf-8")) for file in files}


def functions(tree: ast.Module) -> Iterator[Function]:
    """Yield every function of a module, nested ones included."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length_of(function: Function) -> int:
    """Count a function's lines without its decorators and its docstring."""
    first = function.body[0]
    docstring = 0
    if ast.get_docstring(function, clean=False) is not None:
        docstring = (first.end_lineno or first.lineno) - first.lineno + 1
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def public(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Yield what other people may call: public classes, functions and methods, with names."""
    for child in node.body:
        if not isinstance(child, ast.ClassDef | Function) or child.name.startswith("_"):
            continue
        decorators = {ast.unparse(decorator) for decorator in child.decorator_list}
        if not decorators & {"overload", "typing.overload", f"{child.name}.setter"}:
            yield prefix + child.name, child
        if isinstance(child, ast.ClassDef):
            yield from public(child, f"{prefix}{child.name}.")


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and top-level name of every import, `import_module("...")` included."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name.partition(".")[0]) for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield node.lineno, module.partition(".")[0]
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield node.lineno, module.partition(".")[0]


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every comment."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def is_suppressed_without_reason(comment: str) -> bool:
    """Tell whether a comment switches a checker off without naming a code and a reason."""
    rest = WITH_CODES.sub("", comment)
    return bool(SUPPRESSION.search(comment)) and (
        bool(SUPPRESSION.search(rest)) or not REASON.search(rest)
    )


def swallows(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler catches everything and does nothing about it."""
    broad = handler.type is None or any(
        isinstance(node, ast.Name) and node.id in {"Exception", "BaseException"}
        for node in ast.walk(handler.type)
    )
    return broad and all(
        isinstance(node, ast.Pass | ast.Continue)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in handler.body
    )


def texts() -> Iterator[Path]:
    """Yield the files that the project consists of."""
    top = (file for file in ROOT.iterdir() if file.is_file() and file.name != ".git")
    for file in [*top, *(f for folder in TEXT_FOLDERS for f in (ROOT / folder).rglob("*"))]:
        made = {"_build", "__pycache__"} & set(file.parts)
        if file.is_file() and not made and file.suffix not in NOT_TEXT:
            yield file


def test_files_are_short() -> None:
    """No file of the package is longer than 300 lines."""
    lines = {str(path): len((SRC / path).read_text("utf-8").splitlines()) for path in modules()}
    assert {} == {path: count for path, count in lines.items() if count > MAX_FILE_LINES}


def test_functions_are_short() -> None:
    """No function of the package is longer than 50 lines, its docstring not counted."""
    lengths = {
        f"{path}:{function.lineno} {function.name}": length_of(function)
        for path, tree in modules().items()
        for function in functions(tree)
    }
    assert {} == {name: count for name, count in lengths.items() if count > MAX_FUNCTION_LINES}


def test_everything_public_has_a_docstring() -> None:
    """Every module, and every public class, function and method in it, says what it is for."""
    silent = [str(path) for path, tree in modules().items() if not ast.get_docstring(tree)]
    for path, tree in modules().items():
        for name, node in public(tree):
            assert isinstance(node, ast.ClassDef | Function)
            if not ast.get_docstring(node):
                silent.append(f"{path}:{node.lineno} {name}")
    assert [] == silent


def test_the_package_is_a_table_of_contents() -> None:
    """`feedback_store/__init__.py` has a docstring, imports, and `__all__`, and nothing else."""
    body = modules()[Path("__init__.py")].body
    rest = [
        ast.unparse(node)
        for node in body[1:]
        if not isinstance(node, ast.Import | ast.ImportFrom)
        and not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
    ]
    assert [] == rest


def test_the_table_of_contents_is_sorted_and_true() -> None:
    """`__all__` is sorted, names nothing twice, and every name in it is there."""
    names = list(feedback_store.__all__)
    # Constants, then classes, then functions: the order that ruff keeps too.
    assert sorted(set(names), key=lambda n: (not n.isupper(), n[0].islower(), n)) == names
    assert [] == [name for name in names if not hasattr(feedback_store, name)]


def is_at_home(path: Path, homes: str) -> bool:
    """Say whether a module is one of the homes, or lies in one."""
    module = f"{path.with_suffix('').as_posix()}/"
    return module.startswith(tuple(f"{home}/" for home in homes.split("|")))


@pytest.mark.parametrize(("library", "home"), HOMES.items())
def test_each_library_has_one_home(library: str, home: str) -> None:
    """A library is imported in one module or package, so that it can be replaced there."""
    strangers = [
        f"{path}:{line}"
        for path, tree in modules().items()
        for line, name in imported(tree)
        if name == library and not is_at_home(path, home)
    ]
    assert [] == strangers


def test_every_suppression_has_a_code_and_a_reason() -> None:
    """A `noqa` or a `type: ignore` names what it suppresses, and why."""
    bare = [
        f"{path}:{line} {comment}"
        for path in modules()
        for line, comment in comments((SRC / path).read_text("utf-8"))
        if is_suppressed_without_reason(comment)
    ]
    assert [] == bare


def test_no_error_is_swallowed() -> None:
    """Nothing catches every exception and then does nothing."""
    swallowed = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and swallows(node)
    ]
    assert [] == swallowed


def test_no_file_names_a_folder_of_one_machine() -> None:
    """No text of the project contains an absolute path into someone's own folders."""
    named = [
        f"{file.relative_to(ROOT)}:{number} {line.strip()}"
        for file in texts()
        for number, line in enumerate(file.read_text("utf-8", errors="replace").splitlines(), 1)
        if OWN_FOLDER.search(line)
    ]
    assert [] == named


@pytest.mark.parametrize(
    ("comment", "is_bare"),
    [
        ("# noqa", True),
        ("# noqa: S608", True),
        ("# type: ignore", True),
        ("# type: ignore[arg-type]", True),
        ("# noqa: S608  # the table's name is a constant", False),
        ("# type: ignore[arg-type]  # the stub lacks None", False),
        ("# noqa: S608, E501 - the table's name is a constant", False),
        ("# why this order", False),
    ],
)
def test_suppressions_are_told_apart(comment: str, is_bare: bool) -> None:
    """The check above sees a missing code and a missing reason, and nothing else."""
    assert is_bare == is_suppressed_without_reason(comment)

"""The house keeps its own rules: floors, bans, sizes, mirrors, documents. There is no list of exemptions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

import pytest

from oracle import methods
from oracle.config.settings import Settings
from oracle.config.world import venue_names

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ROOT / "oracle"

# A floor imports only floors below it, and its own package. `clock` is a word that floor 2 shares.
FLOORS = {
    "__init__": 0,
    "errors": 0,
    "core": 0,
    "venues": 1,
    "methods": 1,
    "clock": 2,
    "collectors": 2,
    "journal": 2,
    "publishers": 2,
    "simulator": 2,
    **dict.fromkeys(("__main__", "app", "cli", "commands", "config", "demo", "lines", "live", "log", "telemetry"), 3),
    "trial": 3,
    "documents": 3,
    "edition": 3,
}
CLIENT_MAY = {"oracle.core.types", "oracle.core.wire"}
CORE_LIBRARIES = {
    "__future__",
    "bisect",
    "collections",
    "decimal",
    "enum",
    "functools",
    "itertools",
    "math",
    "msgspec",
    "operator",
    "typing",
}
PURE_LIBRARIES = CORE_LIBRARIES | {"abc", "base64", "datetime", "importlib", "json", "pkgutil", "re", "urllib", "zlib"}
MERGED = {("coinbase_intl", "deribit")}  # Coinbase owns Deribit, and its international market is Deribit's
PYDANTIC_MAY = ("config/", "publishers/schemas", "commands/")
NUMPY_MAY = ("simulator/", "journal/report", "demo")
TOP_LEVEL = {
    "pyproject.toml",
    "README.md",
    "Dockerfile",
    "oracle",
    "tests",
    "methodology",
    "deploy",
    ".ci",
    ".gitignore",
}
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400

Place = tuple[Path, ast.Module]


def parsed(folder: Path) -> list[Place]:
    """Every Python file below a folder, with its syntax tree."""
    files = sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)
    return [(path, ast.parse(path.read_text(encoding="utf-8"), str(path))) for path in files]


SOURCES = parsed(HOUSE)


def room(path: Path) -> str:
    """The package or module directly below `oracle` that a file belongs to."""
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def floor(path: Path) -> int | None:
    return FLOORS.get(room(path))


def at(path: Path, node: ast.AST | int = 0) -> str:
    line = node if isinstance(node, int) else getattr(node, "lineno", 0)
    return f"{path.relative_to(ROOT)}:{line}"


def report(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


def imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str, bool]]:
    """Every imported name, in full, and whether it is only there for the type checker."""
    typing_only = {
        id(below)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for below in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name, id(node) in typing_only
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            for alias in node.names:
                yield node, f"{node.module}.{alias.name}", id(node) in typing_only


def test_every_room_has_a_floor() -> None:
    report([f"{at(p)}: give `{room(p)}` a floor" for p, _ in SOURCES if floor(p) is None and room(p) != "client"])


def test_a_floor_imports_only_what_is_below() -> None:
    problems = []
    for path, tree in SOURCES:
        for node, name, _ in imports(tree):
            if name.split(".")[0] == "oracle" and (problem := _trespass(path, name)):
                problems.append(f"{at(path, node)}: {problem}")
    report(problems)


def _trespass(path: Path, name: str) -> str:
    mine, theirs = room(path), [*name.split("."), "__init__"][1]
    if mine == theirs:
        return _kin(path, name)
    if mine == "client":
        may = any(name == allowed or name.startswith(allowed + ".") for allowed in CLIENT_MAY)
        return "" if may else f"client may not import {name}, only {', '.join(sorted(CLIENT_MAY))}"
    here, there = floor(path), FLOORS.get(theirs, 0 if theirs.startswith("__") else 2)
    if here is None or here == 3:
        return ""
    if here == there == 2:
        return "" if theirs == "clock" else f"{mine} imports {theirs}: rooms of floor 2 meet in app.py"
    if there > here or (here == there == 1):
        return f"{mine} is on floor {here} and imports {name} of floor {there}"
    return ""


def _kin(path: Path, name: str) -> str:
    """Below floor 2, a venue imports no venue and a method no method; the same company's excepted."""
    if room(path) not in ("venues", "methods") or path.stem == "__init__":
        return ""
    other = [*name.split("."), ""][2]
    if other in ("", "base", path.stem) or other.startswith("_") or not (path.parent / f"{other}.py").exists():
        return ""
    family = path.stem.startswith(other) or other.startswith(path.stem) or (path.stem, other) in MERGED
    return "" if family else f"{path.stem} imports {other}, which is another's file"


def test_the_lower_floors_use_pure_libraries_only() -> None:
    problems = []
    for path, tree in SOURCES:
        allowed = {0: CORE_LIBRARIES, 1: PURE_LIBRARIES}.get(floor(path) or 0) if floor(path) in (0, 1) else None
        for node, name, typing_only in imports(tree):
            library = name.split(".")[0]
            if allowed is not None and not typing_only and library not in allowed | {"oracle"}:
                problems.append(f"{at(path, node)}: floor {floor(path)} may not import {library}")
    report(problems)


@pytest.mark.parametrize(
    ("library", "may"), [("pydantic", PYDANTIC_MAY), ("pydantic_settings", PYDANTIC_MAY), ("numpy", NUMPY_MAY)]
)
def test_a_library_stands_at_the_edges(library: str, may: tuple[str, ...]) -> None:
    report(
        [
            f"{at(path, node)}: {library} belongs in {', '.join(may)}"
            for path, tree in SOURCES
            for node, name, _ in imports(tree)
            if name.split(".")[0] == library and not str(path.relative_to(HOUSE)).startswith(may)
        ]
    )


AMBIENT = re.compile(
    r"^(time\.|random\.|logging\.|os\.(environ|getenv)|(datetime\.)*(datetime|date)\.(now|utcnow|today)$)"
)


def test_the_lower_floors_touch_nothing_ambient() -> None:
    problems = []
    for path, tree in SOURCES:
        if floor(path) not in (0, 1):
            continue
        for node in ast.walk(tree):
            used = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if AMBIENT.match(used) or called in ("print", "open", "input", "__import__", "eval", "exec"):
                problems.append(f"{at(path, node)}: `{used or called}` is ambient; floor {floor(path)} is pure")
    report(problems)


SET_TYPE = re.compile(r"(frozen)?set\b|(Abstract|Mutable)?Set\[")
IN_ORDER_OF = {"list", "tuple", "sum", "fsum", "enumerate", "map", "zip", "iter", "next", "reversed", "filter", "deque"}


def test_the_core_walks_no_set() -> None:
    report(
        [
            f"{at(path, node)}: the order of a set is nobody's"
            for path, tree in SOURCES
            if room(path) == "core"
            for node in walked_sets(tree)
        ]
    )


def walked_sets(tree: ast.AST) -> Iterator[ast.AST]:
    """Where something that is plainly a set is walked in its own order."""
    named = {ast.unparse(target) for target in set_names(tree)}

    def is_set(node: ast.AST) -> bool:
        made = isinstance(node, ast.Call) and ast.unparse(node.func) in ("set", "frozenset")
        return made or isinstance(node, ast.Set | ast.SetComp) or ast.unparse(node) in named

    for node in ast.walk(tree):
        walked: list[ast.AST] = []
        if isinstance(node, ast.For | ast.comprehension):
            walked = [node.iter]
        elif isinstance(node, ast.Starred):
            walked = [node.value]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in IN_ORDER_OF | {"join"}:
            walked = list(node.args)
        yield from (one for one in walked if is_set(one))


def set_names(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Set | ast.SetComp | ast.Call):
            if not isinstance(node.value, ast.Call) or ast.unparse(node.value.func) in ("set", "frozenset"):
                yield from node.targets
        elif isinstance(node, ast.AnnAssign | ast.arg) and SET_TYPE.match(ast.unparse(node.annotation or node)):
            yield node.target if isinstance(node, ast.AnnAssign) else ast.Name(node.arg)


@pytest.mark.parametrize(
    "code", ["for x in {1, 2}: pass", "s = set()\nlist(s)", "def f(s: set[int]): return [x for x in s]"]
)
def test_a_walked_set_is_seen(code: str) -> None:
    assert list(walked_sets(ast.parse(code)))


@pytest.mark.parametrize("code", ["for x in sorted({1, 2}): pass", "s = set()\n1 in s", "s = [1]\nlist(s)"])
def test_an_ordered_walk_is_not(code: str) -> None:
    assert not list(walked_sets(ast.parse(code)))


def test_every_module_says_what_it_knows() -> None:
    report([f"{at(path, 1)}: no docstring" for path, tree in SOURCES if not ast.get_docstring(tree)])


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Functions, classes and methods that others may use."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    below
                    for below in node.body
                    if isinstance(below, ast.FunctionDef | ast.AsyncFunctionDef) and not below.name.startswith("_")
                )


def test_everything_public_states_its_contract() -> None:
    report(
        [
            f"{at(p, node)}: `{node.name}` has no docstring"
            for p, tree in SOURCES
            for node in public(tree)
            if not ast.get_docstring(node)
        ]
    )


def test_functions_fit_a_screen() -> None:
    problems = []
    for path, tree in SOURCES + parsed(ROOT / "tests"):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    problems.append(f"{at(path, node)}: `{node.name}` has {lines} lines, at most {FUNCTION_LINES_MAX}")
    report(problems)


def test_files_fit_a_sitting() -> None:
    counted = [
        (path, len(path.read_text(encoding="utf-8").splitlines())) for path, _ in SOURCES + parsed(ROOT / "tests")
    ]
    report([f"{at(p)}: {lines} lines, at most {FILE_LINES_MAX}" for p, lines in counted if lines > FILE_LINES_MAX])


def mirrors(path: Path, tree: ast.Module) -> list[Path]:
    """The files of which one must exist because of a module; none for a package that only has a docstring."""
    inside = path.relative_to(HOUSE)
    folder = ROOT / "tests" / inside.parent
    if path.stem == "__init__":
        makes = any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in tree.body)
        name = f"test_{inside.parent.name}.py"
        return [folder / name, folder.parent / name, folder / "test_init.py"] if makes else []
    return [folder / f"test_{path.stem.strip('_')}.py"]


def test_every_module_has_its_mirror() -> None:
    report(
        [
            f"{at(path)}: no {wanted[0].relative_to(ROOT)}"
            for path, tree in SOURCES
            if (wanted := mirrors(path, tree)) and not any(mirror.is_file() for mirror in wanted)
        ]
    )


@pytest.mark.parametrize("venue", venue_names())
def test_a_venue_is_proved_by_payloads(venue: str) -> None:
    mirror = ROOT / "tests" / "venues" / f"test_{venue}.py"
    assert mirror.is_file(), f"no {mirror.relative_to(ROOT)}"
    calls = [
        ast.unparse(n.func) for n in ast.walk(ast.parse(mirror.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)
    ]
    assert any(call.endswith(".receive") for call in calls), f"{mirror.name} hands no payload to Session.receive"


@pytest.mark.parametrize("method", methods.shipped())
def test_a_method_has_its_document(method: str) -> None:
    document = ROOT / "methodology" / f"{method}.md"
    assert document.is_file(), f"publish {document.relative_to(ROOT)}"
    for rules in methods.load(method).SETS:
        assert rules.version in document.read_text(encoding="utf-8"), f"{document.name} does not name {rules.version}"


def settings_tables() -> Iterator[tuple[str, str]]:
    """Every setting as (table, key); what stands outside a table has the table ''."""
    for name, field in Settings.model_fields.items():
        below = getattr(field.annotation, "model_fields", None)
        below = below or next(
            (a.model_fields for a in getattr(field.annotation, "__args__", ()) if hasattr(a, "model_fields")), None
        )
        if below is None:
            yield ("", name) if str(field.annotation).startswith("tuple") else (name, "")
        else:
            yield from ((name, key) for key in below)


def written_tables() -> set[tuple[str, str]]:
    """What `deploy/oracle.toml` shows, the lines that are commented out among it."""
    table, found = "", set()
    for line in (ROOT / "deploy" / "oracle.toml").read_text(encoding="utf-8").splitlines():
        bare = re.sub(r"^# ?", "", line)
        if header := re.match(r"\[+([a-z_]+)(?:\.([a-z_]+))?", bare):
            table = header[1]
            found |= {(table, ""), (table, header[2] or "")}
        elif key := re.match(r"([a-z_0-9]+) = ", bare):
            found.add((table, key[1]))
    return found


@pytest.mark.parametrize(("table", "key"), sorted(settings_tables()))
def test_the_shipped_file_shows_every_setting(table: str, key: str) -> None:
    assert (table, key) in written_tables(), f"deploy/oracle.toml does not show [{table}] {key}"


# What a section is called where it is at hand.
ALIASES = {"venues": r"how|venue\([\w.]+\)", "engine_feed": "feed", "feeds": "desk"}


@pytest.mark.parametrize(("table", "key"), sorted(pair for pair in settings_tables() if all(pair)))
def test_every_setting_is_obeyed_by_somebody(table: str, key: str) -> None:
    if table in ("index", "perp") or key in import_module("oracle.publishers.limits").Limits._fields:
        return  # these are taken over field by field, under their own names
    read = re.compile(rf"\b({table}|{ALIASES.get(table, table)})\.{key}\b")
    texts = (path.read_text(encoding="utf-8") for path, _ in SOURCES)
    assert any(read.search(text) for text in texts), f"nobody reads {table}.{key}"


def test_the_runbook_knows_every_metric() -> None:
    runbook = (ROOT / "deploy" / "runbook.md").read_text(encoding="utf-8")
    published = import_module("oracle.publishers.metrics").METRICS
    report([f"deploy/runbook.md: nothing on {name}" for name in published if f"`{name}" not in runbook])


def test_the_top_level_is_what_it_is() -> None:
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line]
    names = {path.name for path in ROOT.iterdir()} - {".git"}
    kept = {name for name in names if not any(fnmatch(name, pattern) for pattern in ignored)}
    assert kept == TOP_LEVEL, f"too many: {sorted(kept - TOP_LEVEL)}; missing: {sorted(TOP_LEVEL - kept)}"

"""Who imports what: foreign libraries stay with their owners, and importing pressopt loads no heavy one."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "pressopt"

#: What is imported -> the parts of the package that may, and do.
OWNERS: Mapping[str, frozenset[str]] = {
    name: frozenset(owners.split())
    for name, owners in {
        "pressopt._core": "impedance optimizer surrogate",
        "SurfaceTopography": "surrogate",
        "annotated_types": "profiles",
        "distributed": "study",
        "click": "cli",
        "fastapi": "service",
        "httpx": "service",
        "matplotlib": "export impedance study",
        "pint": "units",
        "psycopg": "store",
        "pandas": "export",
        "pyarrow": "export study",
        "pydantic": "export profiles service",
        "rich": "cli export",
        "rich_click": "cli",
        "scipy": "campaign impedance optimizer",
        "segno": "export",
        "serial": "instruments",
        "skopt": "optimizer",
        "starlette": "service",
        "sqlite3": "store",
        "termios": "cli instruments",
        "time": "clock",
        "uvicorn": "service",
        "weasyprint": "export",
    }.items()
}
#: Imported where they are used, inside functions: each costs tenths of a second.
LATE = (
    "SurfaceTopography",
    "distributed",
    "matplotlib",
    "pint",
    "pyarrow",
    "scipy",
    "segno",
    "serial",
    "skopt",
    "sklearn",
)
#: Extras that the package itself imports, where a user asks for what they are for.
OPTIONAL = ("cluster", "parquet", "pdf", "postgres", "service", "tables", "topography")
#: What the package index calls them, where that is another name.
INDEX_NAMES = {
    "annotated_types": "annotated-types",
    "rich_click": "rich-click",
    "serial": "pyserial",
    "skopt": "scikit-optimize",
    "starlette": "fastapi",
}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    """Each module's part of the package (a folder, or a file without its ending) and its syntax."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).parts[0].removesuffix(".py"), ast.parse(path.read_text("utf-8"))


def _imported(node: ast.AST) -> Iterator[str]:
    """Dotted names that an import statement asks for."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.cache
def _users() -> Mapping[str, set[str]]:
    """Imported top-level name, or the binary -> parts of the package that import it."""
    users: dict[str, set[str]] = defaultdict(set)
    for part, tree in _modules():
        for node in ast.walk(tree):
            for name in _imported(node):
                users["pressopt._core" if name.startswith("pressopt._core") else name.split(".")[0]].add(part)
    return users


def _foreign(users: Mapping[str, set[str]]) -> set[str]:
    return {name for name in users if name not in sys.stdlib_module_names and not name.startswith("pressopt")}


@pytest.mark.parametrize("name", OWNERS)
def test_foreign_libraries_stay_with_their_owners(name: str) -> None:
    """Each library is imported by all its owners and by nobody else."""
    assert _users()[name] == OWNERS[name]


def test_every_foreign_library_has_an_owner() -> None:
    """A new dependency is a decision: it needs a line in the table above; numpy is everybody's."""
    assert _foreign(_users()) - {"numpy"} <= OWNERS.keys()


def test_what_is_imported_is_declared_and_the_other_way_round() -> None:
    """Dependencies in pyproject.toml are what the package imports: none is missing, none is left over."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [line for name in OPTIONAL for line in project["optional-dependencies"][name]]
    declared = [*project["dependencies"], *(line for line in extras if not line.startswith("pressopt["))]
    imported = {INDEX_NAMES.get(name, name) for name in _foreign(_users())}
    names = {re.split(r"[<>=!~ \[]", line)[0] for line in declared}
    assert names == imported
    assert imported <= names


def test_heavy_libraries_are_imported_late() -> None:
    """No module imports a heavy library when it is imported, except for type checkers."""
    early = []
    for part, tree in _modules():
        for statement in tree.body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                early += [(part, name) for name in _imported(statement) if name.split(".")[0] in LATE]
    assert early == []


def _in_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_importing_pressopt_is_cheap() -> None:
    """Importing pressopt takes under 0.3 s of CPU and 80 MB, and loads no heavy library."""
    code = """
import sys, time
before = time.process_time()
import pressopt
took_s = time.process_time() - before
peak_kb = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(took_s, peak_kb, *sys.modules)
"""
    runs = [_in_fresh_python(code).split() for _ in range(3)]
    assert min(float(run[0]) for run in runs) < 0.3
    assert min(int(run[1]) for run in runs) < 80_000
    assert not {*LATE, "pydantic", "numpy"} & set(runs[0][2:])


def test_help_comes_at_once() -> None:
    """``pressopt --help`` takes under 0.6 s of CPU from the interpreter's start, and loads no heavy library."""
    code = """
import sys, time
from pressopt.cli import main
try:
    main(["--help"])
except SystemExit as leave:
    assert not leave.code
print("\\n", time.process_time(), *sys.modules)
"""
    runs = [_in_fresh_python(code).splitlines()[-1].split() for _ in range(3)]
    assert min(float(run[0]) for run in runs) < 0.6
    assert not set(LATE) & set(runs[0][1:])


def test_modules_say_what_they_are_for() -> None:
    """No module is named after nothing in particular, and each begins with a sentence."""
    vague = {"utils", "util", "common", "base", "helpers", "helper", "manager", "managers", "misc", "core"}
    for path in sorted(PACKAGE.rglob("*.py")):
        assert not vague & set(path.relative_to(PACKAGE).with_suffix("").parts), path
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{path} does not say what it is for"


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    """Nothing in the project knows where it was written."""
    place = re.compile(r"(?<![\w.:/])/(?:home|root|opt|mnt|work|workspace|Users|tmp)/\w|[A-Z]:\\\\?Users")
    folders = ("python", "rust", "tests", "docs", "benchmarks", "experiments", ".ci")
    endings = {"", ".md", ".py", ".pyi", ".rs", ".toml", ".json", ".css", ".txt"}
    paths = [path for path in ROOT.iterdir() if path.is_file()]
    paths += [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()[:80]}"
        for path in paths
        if path.suffix in endings and path.name != ".git" and path != Path(__file__)
        if not {"data", "corpus"} & set(path.parts)  # files of others, as they are
        for line in path.read_text("utf-8", errors="replace").splitlines()
        if place.search(line)
    ]
    assert found == []

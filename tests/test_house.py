"""The house: who may import whom, where time comes from, and what lies at the top of the repository."""

import ast
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "swarmlab"

# design.md's table: what each room may import of swarmlab, besides itself and `errors`.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "trace": frozenset(),
    "data": frozenset({"trace"}),
    "models": frozenset({"trace"}),
    "records": frozenset({"trace"}),
    "tools": frozenset({"data", "trace"}),
    "agents": frozenset({"tools", "models", "data", "trace"}),
    "lab": frozenset({"agents", "tools", "models", "data", "records", "trace", ""}),
    "cli": frozenset({"lab", "records"}),
    "service": frozenset({"lab", "records"}),
    "magics": frozenset({"lab", "records"}),
    "": frozenset({"lab"}),
}
TOP_LEVEL = {"pyproject.toml", "README.md", "notebooks", "swarmlab", "experiments", "tests", "results"}
VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers"}
TIME = {"sleep", "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"}
TIME |= {"process_time", "process_time_ns"}


def room_of(path: Path, package: Path) -> str:
    """The room a module belongs to; the empty string for the package's own `__init__`."""
    first = path.relative_to(package).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def violations(package: Path) -> list[str]:
    """Every breach of the house's rules in a package folder, as `file:line: what`."""
    found: list[str] = []
    for path in sorted(package.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        breaches = [
            *_imports(path, package, tree),
            *_inner_imports(tree, source.splitlines()),
            *(_time(tree) if room_of(path, package) != "trace" else ()),
        ]
        if VAGUE & set(path.relative_to(package).with_suffix("").parts):
            breaches.append((1, "a module of that name says nothing about what is in it"))
        found += [f"{path.relative_to(package)}:{line}: {what}" for line, what in breaches]
    return found


def _imports(path: Path, package: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    room = room_of(path, package)
    if room not in MAY_IMPORT:
        yield 1, f"room {room!r} is not in the house's table"
        return
    allowed = MAY_IMPORT[room] | {room, "errors"}
    for node in ast.walk(tree):
        for target in _swarmlab_rooms(node, path, package):
            if target not in allowed:
                yield node.lineno, f"{room or 'swarmlab'} imports {target or 'swarmlab'}"  # type: ignore[attr-defined]


def _swarmlab_rooms(node: ast.AST, path: Path, package: Path) -> list[str]:
    """The rooms that an import statement reaches; the empty string is the package itself."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            here = ("swarmlab", *path.relative_to(package).parent.parts)
            base = ".".join(here[: len(here) - node.level + 1])
            module = f"{base}.{node.module}" if node.module else base
        else:
            module = node.module or ""
        names = [f"{module}.{alias.name}" for alias in node.names] if module == "swarmlab" else [module]
    else:
        return []
    parts = [name.split(".") for name in names]
    return [(name[1] if len(name) > 1 else "") for name in parts if name[0] == "swarmlab"]


def _inner_imports(tree: ast.AST, lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                _, marked, reason = lines[node.lineno - 1].partition("# noqa: PLC0415")
                if not marked or not reason.strip(" -:"):
                    yield node.lineno, "import inside a function without a reason"


def _time(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time" and TIME & {a.name for a in node.names}:
            yield node.lineno, "takes time from outside swarmlab.trace"
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (
                (node.value.id == "time" and node.attr in TIME)
                or (node.value.id, node.attr) == ("asyncio", "sleep")
            )
        ):
            yield node.lineno, f"{node.value.id}.{node.attr} outside swarmlab.trace"


def test_the_house_stands() -> None:
    """Imports point down, stay at the top of modules, and only `trace` knows the time."""
    assert violations(PACKAGE) == []


BREACHES = {
    "trace/spans.py": ("from swarmlab.data import Dataset", "trace imports data"),
    "data/dataset.py": ("import swarmlab.models", "data imports models"),
    "records/store.py": ("from swarmlab import agents", "records imports agents"),
    "tools/run.py": ("from ..models import load_model", "tools imports models"),
    "agents/turn.py": ("from swarmlab.lab.api import run", "agents imports lab"),
    "models/relative.py": ("from .. import records", "models imports records"),
    "cli.py": ("from swarmlab.tools import TOOLS", "cli imports tools"),
    "__init__.py": ("import swarmlab.trace", "swarmlab imports trace"),
    "attic/old.py": ("import os", "room 'attic' is not in the house's table"),
    "lab/inner.py": ("def f():\n    import os", "import inside a function without a reason"),
    "lab/bare.py": ("def f():\n    import os  # noqa: PLC0415", "import inside a function without a reason"),
    "lab/clock.py": ("import time\nnow = time.monotonic()", "time.monotonic outside swarmlab.trace"),
    "lab/nap.py": ("import asyncio\nasync def f():\n    await asyncio.sleep(1)", "asyncio.sleep outside"),
    "lab/taken.py": ("from time import perf_counter_ns", "takes time from outside swarmlab.trace"),
    "lab/utils.py": ("", "says nothing about what is in it"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_found(tmp_path: Path, name: str) -> None:
    """Each rule of the house catches a module that breaks it, and names the file."""
    source, expected = BREACHES[name]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(source, encoding="utf-8")
    found = violations(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(name)
    assert expected in found[0]


def test_what_is_allowed_is_no_breach(tmp_path: Path) -> None:
    """Downward imports, errors everywhere, a reasoned late import and time within `trace` pass."""
    (tmp_path / "trace").mkdir()
    (tmp_path / "lab").mkdir()
    (tmp_path / "trace" / "clock.py").write_text(
        "import time\nfrom swarmlab.errors import TraceError\ntime.time()"
    )
    (tmp_path / "lab" / "api.py").write_text(
        "import swarmlab\nfrom swarmlab.agents.levels import LEVELS\nfrom . import measure\n"
        "def f():\n    import torch  # noqa: PLC0415 - takes seconds\n"
    )
    assert violations(tmp_path) == []


def test_the_top_of_the_repository_is_what_the_design_names() -> None:
    """Beside dotfiles git tracks only what design.md names at the top level."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    top = {Path(line).parts[0] for line in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL

"""What a stage's code is: the digest that re-runs a stage when its code changed, and only then."""

import ast
import hashlib
from functools import cache
from pathlib import Path


def digest(adapter: Path, *others: Path) -> str:
    """12 hex digits of a script, the clevam modules it imports, directly or not, and `others` (its environment file).

    By content, so that a touch, a checkout or a moved folder changes nothing.
    """
    total = hashlib.sha256()
    for path in [*sorted(modules(adapter)), *others]:
        total.update(f"{path.name}\0".encode() + path.read_bytes())
    return total.hexdigest()[:12]


def modules(script: Path) -> set[Path]:
    """The script and every module of the clevam package, beside it, that it needs."""
    found, new = set(), {script}
    while new:
        found |= new
        new = {m for path in new for m in _imports(path, script.parent / "clevam")} - found
    return found


@cache
def _imports(path: Path, package: Path) -> frozenset[Path]:
    """The package's modules that one file imports, wherever in the file it does so."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module == package.name:
            names |= {alias.name for alias in node.names} | {"__init__"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package.name}."):
            names |= {node.module.split(".")[1], "__init__"}
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith(f"{package.name}.")}
    return frozenset(p for n in names if (p := package / f"{n}.py").is_file())

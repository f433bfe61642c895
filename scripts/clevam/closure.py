"""What a stage's code is: the digest that re-runs a stage when its code changed, and only then."""

import hashlib
import re
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


# By its text, in no time: parsing every module would be most of what a start of the workflow takes.
_IMPORT = re.compile(rb"^\s*(?:from clevam(?:\.(\w+))? import (\([^)]*\)|.*)|import clevam\.(\w+))", re.M)


@cache
def _imports(path: Path, package: Path) -> frozenset[Path]:
    """The package's modules that one file imports, wherever in the file it does so."""
    names = set()
    for module, several, plain in _IMPORT.findall(path.read_bytes()):
        single = module or plain
        names |= {b"__init__", single} if single else {b"__init__", *re.findall(rb"\w+", several)}
    return frozenset(p for n in names if (p := package / f"{n.decode()}.py").is_file())

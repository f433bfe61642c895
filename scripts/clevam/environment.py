"""What is installed where: the proof that a stage runs on its own packages."""

import importlib
import sys
from importlib import metadata
from pathlib import Path

from clevam.errors import UserError


def describe(packages: list[str]) -> dict:
    """{"prefix", "packages": {name: {"version", "file"}}} of this environment, after importing each package.

    Raises UserError if one is imported from anywhere but this environment's prefix.
    """
    found = {}
    for name in packages:
        file = importlib.import_module(module_of(name)).__file__
        if not Path(file).is_relative_to(sys.prefix):
            raise UserError(f"{name} comes from {file}, outside of {sys.prefix}; add it to envs/requirements")
        found[name] = {"version": metadata.version(name), "file": str(Path(file).relative_to(sys.prefix))}
    return {"prefix": sys.prefix, "packages": found}


def module_of(package: str) -> str:
    """The name that an installed distribution is imported by."""
    names = {name for name, owners in metadata.packages_distributions().items() if package.lower() in _lower(owners)}
    public = sorted(n for n in names if not n.startswith("_"))
    return package if package in public else public[0]


def _lower(names: list[str]) -> set[str]:
    return {name.lower() for name in names}

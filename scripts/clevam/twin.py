"""A reference that was painted for a preview in the same way is taken over instead of painted again."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clevam.errors import UserError
from clevam.files import read_json, replacing, sha256, write_json

RECORD = "made.json"  # in a reference's folder: {"of": digest, "picture": sha256 of the picture}


def digest(settings: Mapping[str, Any], inputs: Iterable[str]) -> str:
    """What a reference follows from: its settings, and the contents of the files and folders it is made from."""
    files = [file for path in map(Path, inputs) for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    told = [settings, [sha256(file) for file in files if file.is_file()]]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def record(of: str, picture: str, folder: str) -> None:
    """Write down beside a reference's attention what both were made of."""
    write_json(Path(folder, RECORD), {"of": of, "picture": sha256(picture)})


def take(of: str, other: Path, picture: str, folder: str) -> bool:
    """Take over another reference, the folder `other` and `other`.png; False if not whole, or not of the same."""
    theirs = other.with_suffix(".png")
    try:
        if read_json(other / RECORD) != {"of": of, "picture": sha256(theirs)}:
            return False
    except (OSError, UserError):
        return False
    with replacing(folder) as part:
        shutil.copytree(other, part, copy_function=_linked)  # never written to again
    with replacing(picture) as part:
        shutil.copyfile(theirs, part)
    return True


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(source, target)

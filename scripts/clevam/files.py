"""Whole files or none: everything is written under a temporary name beside its own and renamed."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write to (a file or a folder); it becomes `path` if the block ends without error."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    discard(temporary)
    try:
        yield temporary
        if path.is_dir() or temporary.is_dir():  # a file takes another's place at once, a folder only an empty one
            discard(path)
        temporary.replace(path)
    finally:
        discard(temporary)


def discard(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: str | Path, data: Any) -> None:
    """Write `data` with sorted keys, so that equal data are equal bytes."""
    with replacing(path) as part:
        part.write_text(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    return json.loads(Path(path).read_text())


def sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

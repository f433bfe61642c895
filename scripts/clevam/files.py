"""Whole files or none: everything is written under a temporary name beside its own and renamed."""

import hashlib
import json
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clevam.errors import UserError

MEMBERS = ".members.json"  # of a folder: the names of its files


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write to (a file or a folder); it becomes `path` if the block ends without error.

    A folder gets a list of its files, MEMBERS.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    discard(temporary)
    try:
        yield temporary
        if temporary.is_dir():
            seal(temporary)
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


def seal(folder: Path) -> None:
    """List the files of a folder in it, so that one which is lost is missed."""
    (folder / MEMBERS).unlink(missing_ok=True)
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    (folder / MEMBERS).write_text(json.dumps(sorted(names)))


def members(folder: str | Path) -> frozenset[str]:
    """The names of the files with which a folder was finished. Raises UserError if it does not say."""
    return frozenset(read_json(Path(folder) / MEMBERS))


def by_name(folders: Iterable[str]) -> dict[str, str]:
    """Folders by their last names, as blocks are asked for."""
    return {Path(folder).name: folder for folder in folders}


def write_json(path: str | Path, data: Any) -> None:
    """Write `data` with sorted keys, so that equal data are equal bytes."""
    with replacing(path) as part:
        part.write_text(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Raises UserError if the file is missing or damaged."""
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError):
        what = Path(path).parent if Path(path).name == MEMBERS else path
        raise UserError(f"{what}: missing or damaged; delete it and run again") from None


def sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_sum(path: str | Path, target: str | Path) -> None:
    """Write the CRC-32 of a file's bytes to another: for formats that have none."""
    write_json(target, crc32(path))


def check_sum(path: str | Path, told: str | Path) -> None:
    """Raises UserError if a file is not as it was when `write_sum` was called."""
    if not Path(path).is_file() or crc32(path) != read_json(told):
        raise UserError(f"{path}: missing or damaged; delete it and run again")


def crc32(path: str | Path) -> int:
    result = 0
    with Path(path).open("rb") as stream:
        while piece := stream.read(1 << 20):
            result = zlib.crc32(piece, result)
    return result

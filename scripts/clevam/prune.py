"""Results that nothing asks for any more: found, listed, and removed only when told to."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from clevam.errors import UserError
from clevam.files import discard

# The folders of a project that the workflow writes its results into; nothing outside of them is ever removed.
RESULTS = (
    "keyframes", "masks", "plan", "subjects", "edited", "flow", "masks_frames", "masks_video", "out", "report", "sweep",
    "work",
)  # fmt: skip


def results(root: Path, recorded: Callable[[str], bool]) -> Iterator[str]:
    """Files and folders in RESULTS of which it is recorded that a job made them, as paths from `root`. What lies behind
    a link is left alone, and so is all that no job made."""
    folders = [folder for name in RESULTS if (folder := root / name).is_dir() and not folder.is_symlink()]
    while folders:
        for path in sorted(folders.pop(0).iterdir()):
            name = path.relative_to(root).as_posix()
            if path.is_symlink():
                continue
            if recorded(name):
                yield name
            elif path.is_dir():
                folders.append(path)


def report(root: Path, surplus: Iterable[str]) -> str:
    """A line for each path, with its size, and the sum of all."""
    sizes = {path: size(root / path) for path in surplus}
    lines = [f"{megabytes(each):>10}  {path}" for path, each in sizes.items()]
    return "\n".join([*lines, f"{megabytes(sum(sizes.values())):>10}  in {len(sizes)} results that nothing asks for"])


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_symlink() or file.is_file())


def megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def remove(root: Path, surplus: Iterable[str]) -> None:
    """Remove results, and folders that they leave empty. Raises UserError before anything is removed if a path leads
    out of RESULTS."""
    paths = [root / path for path in surplus]
    for path in paths:
        inside = path.relative_to(root).parts[:1]
        if path.resolve() != root.resolve() / path.relative_to(root) or inside[0] not in RESULTS:
            raise UserError(f"prune: {path} is no result of this project; nothing was removed")
    for path in paths:
        discard(path)
        for folder in path.relative_to(root).parents:
            if folder.parts and not any((root / folder).iterdir()):
                (root / folder).rmdir()

"""What is missing from a file: where its container says that it goes on, and how to say so."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

_MP4_STARTS = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}  # the boxes that mp4 and mov files begin with


class Trouble(NamedTuple):
    """Something of a video that cannot be had: when it would be shown, None for after its end, and why not."""

    pts: int | None
    reason: str


def describe(path: str, damage: dict) -> str:
    """A damage of index.json in one line."""
    return f"{path}: damaged after {damage['last_good']:.3f} s: {damage['reason']}"


def hint(path: str | Path) -> str:
    """The cure for a file that is no video, put behind the error, if it was one once."""
    with suppress(OSError):
        if _lacks_index(path):
            return "; its index (moov) is missing: copy the file again, or try to rebuild it, for example with untrunc"
        if is_cut_off(path):
            return "; the file is cut off: copy it again"
    return ""


def is_cut_off(path: str | Path) -> bool:
    """Whether a file ends before it should; False as well where its container cannot tell."""
    with Path(path).open("rb") as file:
        size, head = os.fstat(file.fileno()).st_size, file.read(193)
        if head[4:8] in _MP4_STARTS:
            return any(kind in (b"moof", b"mdat") and end > size for kind, end in _boxes(file, size))
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return (_segment_end(file) or 0) > size
        if head[:1] == head[188:189] == b"\x47":
            return size % 188 != 0
        if head[:4] == b"RIFF":  # avi, webp
            return int.from_bytes(head[4:8], "little") + 8 > size
        if head[:4] == b"GIF8":
            file.seek(-1, os.SEEK_END)
            return file.read() != b";"
        return False


def _lacks_index(path: str | Path) -> bool:
    """Whether a file is an mp4 without the whole table (moov) that says where its frames are."""
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        kinds = [kind for kind, end in _boxes(file, size) if end <= size]
    return bool(kinds) and kinds[0] in _MP4_STARTS and b"moov" not in kinds


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """The boxes that an mp4 consists of, as (kind, where it ends by its own account)."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        length, kind = int.from_bytes(file.read(4)), file.read(4)
        if length == 1:
            length = int.from_bytes(file.read(8))
        elif length == 0:  # to the end of the file
            length = size - start
        start += max(length, 8)
        yield kind, start


def _segment_end(file: BinaryIO) -> int | None:
    """Where the segment, which is all of a Matroska file but its header, ends by its own account."""
    file.seek(4)
    file.seek(_number(file) or 0, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return None
    length = _number(file)
    return length and file.tell() + length


def _number(file: BinaryIO) -> int | None:
    """A length in EBML: the leading zeros of its first byte count the bytes that follow. None for unknown."""
    first = file.read(1)
    following = 8 - (first or b"\xff")[0].bit_length()
    bits = 7 * (following + 1)
    value = int.from_bytes(first + file.read(following)) & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value

"""Many videos as a table: `videos: clips.tsv`, a line for each."""

import csv
from collections.abc import Container
from pathlib import Path
from typing import Any

import yaml


def read(path: str, text: Container[str]) -> dict[str, dict[str, Any]]:
    """The videos of a table: tab-separated, in UTF-8, its first line the names of the columns.

    A column is `name` or a key of a video, as `path`, `replace` or `edit.guidance`. What is empty is not given. Keys in
    `text` are taken as they are written, the values of others as YAML. Raises ValueError.
    """
    try:
        lines = list(csv.reader(Path(path).read_text("utf-8-sig").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a table of videos: {error}") from None
    header, *rows = [[cell.strip() for cell in line] for line in lines] or [[]]
    if "name" not in header or len(set(header)) < len(header):
        raise ValueError(f"{path}: its first line names the columns, each once, separated by tabs; one is `name`")
    videos: dict[str, dict[str, Any]] = {}
    for number, cells in enumerate(rows, 2):
        if not any(cells):
            continue
        if len(cells) > len(header):
            raise ValueError(f"{path}, line {number}: {len(cells)} cells, but there are {len(header)} columns")
        given = {key: cell for key, cell in zip(header, cells, strict=False) if cell}
        name = given.pop("name", "")
        if not name or name in videos:
            raise ValueError(f"{path}, line {number}: {name and f'there is another {name} above' or 'it has no name'}")
        videos[name] = {}
        for key, cell in given.items():
            try:
                put(videos[name], key.split("."), cell if key in text else yaml.safe_load(cell))
            except (yaml.YAMLError, TypeError, ValueError, RecursionError):
                raise ValueError(f"{path}, line {number}: {key}: {cell!r} cannot be understood") from None
    return videos


def put(mapping: dict[str, Any], keys: list[str], cell: Any) -> None:
    """Set a nested key. Raises TypeError where there is something else than keys on the way."""
    for key in keys[:-1]:
        mapping = mapping[key] if key in mapping else mapping.setdefault(key, {})
    mapping[keys[-1]] = cell

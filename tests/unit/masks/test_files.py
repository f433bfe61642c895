"""files.py: whole files or none."""

import hashlib
import json
from pathlib import Path

import pytest

from clevam.files import discard, read_json, replacing, sha256, write_json


def write_then_fail(path: Path) -> None:
    with replacing(path) as part:
        part.write_text("half")
        raise RuntimeError


def test_replacing_puts_the_file_under_its_name_at_the_end(tmp_path):
    with replacing(tmp_path / "a.txt") as part:
        part.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


def test_replacing_keeps_the_suffix_and_makes_the_folder(tmp_path):
    with replacing(tmp_path / "deep" / "er" / "clip.mp4") as part:
        assert part.suffix == ".mp4"
        part.touch()
    assert (tmp_path / "deep" / "er" / "clip.mp4").exists()


def test_replacing_leaves_nothing_behind_on_an_error(tmp_path):
    with pytest.raises(RuntimeError):
        write_then_fail(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_replacing_keeps_the_old_file_on_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError):
        write_then_fail(tmp_path / "a.txt")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_replacing_a_folder_leaves_only_what_was_written_now(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with replacing(tmp_path / "a") as part:
        part.mkdir()
        (part / "new").touch()
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("[!.]*")] == ["a", "a/new"]


def test_replacing_clears_what_a_killed_run_left(tmp_path):
    with replacing(tmp_path / "a") as part:
        leftover = part
        part.mkdir()
    (leftover / "half").mkdir(parents=True)
    with replacing(tmp_path / "a") as part:
        assert not part.exists()
        part.mkdir()
    assert list((tmp_path / "a").glob("[!.]*")) == []


def test_discard_removes_a_link_but_not_what_it_points_to(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    discard(tmp_path / "link")
    discard(tmp_path / "never there")
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_write_json_gives_the_same_bytes_whatever_the_order_of_the_keys(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": {"d": "狐", "c": [2, 1]}})
    write_json(tmp_path / "b.json", {"a": {"c": [2, 1], "d": "狐"}, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_json(tmp_path / "a.json") == {"a": {"c": [2, 1], "d": "狐"}, "b": 1}


def test_write_json_keeps_the_old_file_where_the_data_cannot_be_written(tmp_path):
    write_json(tmp_path / "a.json", [1])
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == [1]


def test_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"clevam")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"clevam").hexdigest()

"""References that are taken over instead of painted again."""

import shutil

import pytest

from clevam import twin


@pytest.fixture
def other(tmp_path):
    """A reference with its attention, recorded as made of "this"."""
    folder = tmp_path / "preview/3"
    folder.mkdir(parents=True)
    (folder / "step_000.pt").write_text("attention")
    folder.with_suffix(".png").write_text("picture")
    twin.record("this", str(folder.with_suffix(".png")), str(folder))
    return folder


def taken(of, other, tmp_path):
    return twin.take(of, other, str(tmp_path / "mine/reference.png"), str(tmp_path / "mine/reference"))


def test_what_was_made_of_the_same_is_taken_over_whole(other, tmp_path):
    assert taken("this", other, tmp_path)
    assert (tmp_path / "mine/reference.png").read_text() == "picture"
    assert (tmp_path / "mine/reference/step_000.pt").read_text() == "attention"


def test_what_is_taken_over_outlives_the_other(other, tmp_path):
    taken("this", other, tmp_path)
    shutil.rmtree(other.parent)
    assert (tmp_path / "mine/reference/step_000.pt").read_text() == "attention"


def test_what_was_made_of_something_else_is_not(other, tmp_path):
    assert not taken("that", other, tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda other: other.with_suffix(".png").write_text("painted over"),
        lambda other: other.with_suffix(".png").unlink(),
        lambda other: (other / twin.RECORD).unlink(),
        lambda other: (other / twin.RECORD).write_text("{"),
        shutil.rmtree,
    ],
)
def test_nor_is_what_is_not_whole(other, tmp_path, spoil):
    spoil(other)
    assert not taken("this", other, tmp_path)
    assert not (tmp_path / "mine").exists()


def test_it_follows_from_settings_and_from_what_files_hold_and_not_where_they_lie(tmp_path):
    for name, text in {"a": "1", "b": "1", "c": "2"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_text(text)
    said = {name: twin.digest({"seed": 1}, [str(tmp_path / name)]) for name in "abc"}
    assert said["a"] == said["b"] != said["c"]
    assert twin.digest({"seed": 2}, [str(tmp_path / "a")]) != said["a"]

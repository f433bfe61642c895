"""A sweep's table and contact sheet."""

import csv

import numpy as np
import pytest
from PIL import Image

from clevam import images, trials

RED, GREEN = (200, 30, 30), (30, 160, 30)


def picture(colour, size=(24, 32)):
    """Grey, with a box of one colour."""
    pixels = np.full((*size, 3), 128, np.uint8)
    pixels[8:16, 8:24] = colour
    return pixels


@pytest.fixture
def written(tmp_path):
    """What is written of two trials on three keyframes, of which the last shows no A: one alike, one that flickers."""
    mask = np.zeros((24, 32), np.uint8)
    mask[8:16, 8:24] = 1
    for n in range(3):
        images.write_png(tmp_path / f"source{n}.png", picture(RED))
        images.write_labels(tmp_path / f"mask{n}.png", mask * (n < 2), 1)
        images.write_png(tmp_path / f"same{n}.png", picture(GREEN))
        images.write_png(tmp_path / f"other{n}.png", picture((GREEN, RED, GREEN)[n]))
    crop = {"box": [0, 0, 32, 24], "work": [64, 64]}
    paths = {name: [str(tmp_path / f"{name}{n}.png") for n in range(3)] for name in ("source", "mask", "same", "other")}
    values = {"same": {"edit.guidance": 3}, "other": {"edit.guidance": 6}}
    trials.write(
        paths["source"], paths["mask"], {name: paths[name] for name in values}, values, [crop, crop, None],
        sheet=str(tmp_path / "sheet.png"), table=str(tmp_path / "table.tsv"),
    )  # fmt: skip
    with (tmp_path / "table.tsv").open() as stream:
        return np.asarray(Image.open(tmp_path / "sheet.png")), list(csv.DictReader(stream, delimiter="\t"))


def test_the_table_says_what_changed_and_how_alike_the_keyframes_are(written):
    same, other = written[1]
    lab = trials.lab(np.array([[RED, GREEN]], np.uint8))[0]
    apart = float(np.linalg.norm(lab[0] - lab[1]))
    assert (same["edit.guidance"], other["edit.guidance"]) == ("3", "6")
    assert [float(same[key]) for key in ("changed", "spread", "steps")] == pytest.approx([apart, 0, 0], abs=0.01)
    found = [float(other[key]) for key in ("changed", "spread", "steps")]
    assert found == pytest.approx([apart / 2, apart / 2, apart], abs=0.01)
    assert same["seconds"] == ""  # no benchmarks here


def test_the_sheet_shows_the_source_and_a_row_for_each_trial(written):
    sheet, (side, title) = written[0], (trials.SIDE, trials.TITLE)
    assert sheet.shape == (3 * (side + title), 2 * side, 3)
    middles = [[sheet[y * (side + title) + title + 60, x * side + 80].tolist() for x in range(2)] for y in range(3)]
    assert middles == [[[*RED], [*RED]], [[*GREEN], [*GREEN]], [[*GREEN], [*RED]]]


def test_seconds_are_those_of_all_jobs_that_painted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, time in (
        ("reference/a.tsv", 2.5),
        ("edit/a/0000.tsv", 1),
        ("edit/a/0001.tsv", 4),
        ("edit/b/0000.tsv", 9),
    ):
        (tmp_path / "benchmarks" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "benchmarks" / path).write_text(f"s\th:m:s\n{time}\t0:00:01\n")
    assert trials.seconds("a") == "7.5"

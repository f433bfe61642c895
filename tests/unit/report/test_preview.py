"""The page of a preview: whole, by itself, and safe whatever words say."""

import re

import numpy as np
import pytest

from clevam import images, preview
from reported import measured, painted, previewed, squares

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7*7 }}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    source, masks = squares(14)
    measured(folder, source, painted(source, masks, (20, 160, 60)), masks, "ball")
    return folder


def test_it_shows_source_mask_and_all_that_was_tried_each_with_its_line(folder):
    text = previewed(folder, "a ball", {"own": {}, "3": {"start": "noise", "seed": 3}}).read_text()
    shown = re.findall(r"<figcaption>(.*?)</figcaption>", text[text.index('class="tried"') :])
    own = "as the configuration says"
    assert shown == ["source", "mask", own, "<code>edit: {start: noise, seed: 3}</code>"]
    assert "<code>videos.ball</code>" in text


def test_it_shows_every_keyframe_and_which_is_the_reference(folder):
    text = previewed(folder, "a ball", {"own": {}}).read_text()
    assert re.findall(r"<figcaption><b>(\d+)</b>( <i)?", text) == [("0", ""), ("6", " <i"), ("12", ""), ("13", "")]


def test_an_edit_under_edits_says_where_its_line_belongs(folder):
    images.write_png(folder / "edited/ball.wolf/000006.png", np.zeros((64, 96, 3), np.uint8))
    text = previewed(folder, "a ball", {"own": {}}, name="ball.wolf").read_text()
    assert "<code>videos.ball.edits.wolf</code>" in text


def test_words_are_text_and_no_other_file_is_asked_for(folder):
    text = previewed(folder, HOSTILE, {"own": {}}, given=HOSTILE).read_text()
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text
    assert "http:" not in text
    assert not re.search(r"<(link rel=.stylesheet|script src|img src=.(?!data:)|iframe|object)", text)


def test_a_mask_is_marked_and_all_else_dark(tmp_path):
    images.write_png(tmp_path / "a.png", np.full((40, 40, 3), 120, np.uint8))
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 10:30] = 1
    images.write_labels(tmp_path / "m.png", labels, 1)
    found = preview.marked(str(tmp_path / "a.png"), str(tmp_path / "m.png"), 1)
    assert (found[:9] == 40).all()
    assert (found[12:28, 12:28] >= 120).all()

"""Pictures of B, cut out onto white."""

import numpy as np
import pytest
from PIL import Image
from test_masks import FakeDetector, fakes, noise  # noqa: F401

from clevam import images
from clevam.cutout import cut_out
from clevam.errors import UserError

WHITE = 255


def cut(folder, path, phrase=None, threshold=0.5):
    options = {"threshold": threshold, "models": ["w", "c", "t", "s"], "device": "cpu"}
    cut_out([str(path)], str(folder / "out"), names=["1_01.png"], phrases=[phrase], **options)
    return images.read_rgb(folder / "out" / "1_01.png")


def test_what_the_words_name_is_left_on_a_white_square_around_it(tmp_path, fakes, monkeypatch):  # noqa: F811
    monkeypatch.setattr(FakeDetector, "SCORES", {"a fox": [0.9, 0.1]})
    images.write_png(tmp_path / "fox.png", picture := noise(48, 64, 0))
    shown = cut(tmp_path, tmp_path / "fox.png", "a fox").copy()
    assert shown.shape == (38, 38, 3)  # of 32 rows, and a tenth of them on either side
    assert np.array_equal(shown[3:35, 7:31], picture[8:40, 4:28])
    shown[3:35, 7:31] = WHITE
    assert (shown == WHITE).all()


def test_a_picture_with_transparency_is_cut_out_by_it_and_looked_at_by_no_network(tmp_path):
    pixels = np.dstack([noise(20, 20, 0), np.zeros((20, 20), np.uint8)])
    pixels[5:15, 4:14, 3] = WHITE
    pixels[5:15, 4:6, 3] = 51
    Image.fromarray(pixels).save(tmp_path / "fox.png")
    shown = cut(tmp_path, tmp_path / "fox.png", "a fox")
    assert shown.shape == (12, 12, 3)
    assert np.array_equal(shown[1:11, 3:11], pixels[5:15, 6:14, :3])
    half = WHITE + (pixels[5:15, 4:6, :3] - 255.0) * 0.2
    assert np.abs(shown[1:11, 1:3] - half).max() <= 0.5
    assert (shown[0] == WHITE).all()


def test_without_words_it_stays_as_it_is(tmp_path):
    images.write_png(tmp_path / "fox.png", picture := noise(48, 64, 0))
    assert np.array_equal(cut(tmp_path, tmp_path / "fox.png"), picture)


def test_a_picture_without_b_is_an_error_that_says_what_was_looked_for(tmp_path, fakes, monkeypatch):  # noqa: F811
    monkeypatch.setattr(FakeDetector, "SCORES", {"a fox": [0.31, 0.1]})
    images.write_png(tmp_path / "owl.png", noise(48, 64, 0))
    with pytest.raises(UserError, match=r"owl\.png: 'a fox' is not in it \(best score 0\.31, masks\.threshold 0\.5\)"):
        cut(tmp_path, tmp_path / "owl.png", "a fox")
    assert not (tmp_path / "out").exists()


def test_a_picture_that_is_all_transparent_is_an_error(tmp_path):
    Image.new("RGBA", (8, 8)).save(tmp_path / "fox.png")
    with pytest.raises(UserError, match=r"fox\.png: all of it is transparent"):
        cut(tmp_path, tmp_path / "fox.png", "a fox")

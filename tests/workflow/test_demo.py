"""The pictures in README: of the demo as it is now."""

import picture
import pytest
from PIL import Image

from conftest import ROOT


@pytest.mark.parametrize("path", picture.PICTURES)
def test_a_picture_was_made_from_the_present_clip_models_and_configuration(path):
    """If not: `make demo-pictures`, and look at them."""
    with Image.open(ROOT / path) as image:
        assert image.getexif()[picture.DESCRIPTION] == picture.made_from()


def test_the_film_moves_for_as_long_as_the_clip_and_is_small():
    with Image.open(ROOT / "docs/demo.webp") as image:
        assert (image.n_frames, image.size) == (48, picture.SIZE)
    assert (ROOT / "docs/demo.webp").stat().st_size < 1_000_000


@pytest.mark.parametrize("path", picture.PICTURES)
def test_a_picture_is_shown_in_readme(path):
    assert f"]({path})" in (ROOT / "README.md").read_text()


def test_another_configuration_clip_model_or_script_is_told(monkeypatch):
    found, real, changed = [picture.made_from()], picture.weights.fingerprint, []
    monkeypatch.setattr(picture.weights, "fingerprint", lambda path: real(path) + "changed" * (path in changed))
    for path in ("demo/clip.mp4", "demo/models/diffusion", "demo/models/segmentation/weights.pth", "demo/picture.py"):
        changed[:] = [ROOT / path]
        found.append(picture.made_from())
    config = picture.configured()
    config["edit"]["steps"] += 1
    monkeypatch.setattr(picture, "configured", lambda: config)
    found.append(picture.made_from())
    assert len(set(found)) == 6

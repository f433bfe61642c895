"""images.py: keyframes and label maps as PNG files."""

import os
import random
import struct
import subprocess
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clevam import images
from clevam.errors import UserError


def png(path: Path, rows: list, mode: str | None = None) -> Path:
    """A picture of the given uint8 values, if asked converted to another PNG mode."""
    image = Image.fromarray(np.array(rows, np.uint8))
    (image.convert(mode) if mode else image).save(path)
    return path


# ---- labels ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "regions", "labels"),
    [
        ([0, 1, 1, 0], 1, [0, 1, 1, 0]),
        ([0, 255, 255, 0], 1, [0, 1, 1, 0]),
        ([0, 3, 1, 2], 3, [0, 3, 1, 2]),
        ([0, 255, 85, 170], 3, [0, 3, 1, 2]),
        ([4, 250, 90, 160], 3, [0, 3, 1, 2]),
        ([0, 2, 0, 2], 3, [0, 2, 0, 2]),
        ([0, 0, 0, 0], 2, [0, 0, 0, 0]),
        ([10, 100, 128, 240], 1, [0, 0, 1, 1]),
    ],
)
def test_labels_are_the_values_themselves_or_even_levels(tmp_path, values, regions, labels):
    read = images.read_labels(png(tmp_path / "m.png", [values]), regions)
    assert (read.dtype, read.tolist()) == (np.uint8, [labels])


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA"])
def test_black_and_white_is_read_in_any_mode(tmp_path, mode):
    path = png(tmp_path / "m.png", [[0, 255], [255, 0]], mode)
    assert images.read_labels(path, 1).tolist() == [[0, 1], [1, 0]]


def test_a_palette_picture_holds_the_labels_as_indices(tmp_path):
    image = Image.fromarray(np.uint8([[0, 1, 2]])).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "m.png")
    assert images.read_labels(tmp_path / "m.png", 2).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(("value", "regions"), [(43, 3), (128, 3), (60, 2), (190, 2)])
def test_a_wrong_value_is_an_error_that_names_the_file(tmp_path, value, regions):
    path = png(tmp_path / "m.png", [[0, 255, value]])
    message = rf"m\.png: holds other values than labels 0 to {regions}, or {regions + 1} even steps of 0 to 255"
    with pytest.raises(UserError, match=message):
        images.read_labels(path, regions)


# ---- sizes and errors ------------------------------------------------------------------------------------------

READERS = [
    lambda path, size=None: images.read_rgb(path, size),
    lambda path, size=None: images.read_labels(path, 1, size),
]


@pytest.mark.parametrize("read", READERS, ids=["rgb", "labels"])
def test_a_picture_of_another_size_is_an_error_with_both_sizes(tmp_path, read):
    path = png(tmp_path / "m.png", np.zeros((3, 4)))
    assert read(path, (4, 3)).shape[:2] == (3, 4)
    with pytest.raises(UserError, match=r"m\.png: is 4x3, but the upright video is 3x4"):
        read(path, (3, 4))


@pytest.mark.parametrize("read", READERS, ids=["rgb", "labels"])
def test_a_missing_picture_is_an_error_that_names_it(tmp_path, read):
    with pytest.raises(UserError, match=r"m\.png: no such picture"):
        read(tmp_path / "m.png")


@pytest.mark.parametrize("read", READERS, ids=["rgb", "labels"])
@pytest.mark.parametrize("spoil", [lambda data: b"not a picture", lambda data: data[:200]], ids=["text", "half"])
def test_what_is_no_whole_picture_is_an_error_with_the_cure(tmp_path, read, spoil):
    whole = png(tmp_path / "m.png", np.random.default_rng(0).integers(0, 2, (40, 40)) * 255).read_bytes()
    (tmp_path / "m.png").write_bytes(spoil(whole))
    with pytest.raises(UserError, match=r"m\.png: not a picture that can be read; save it as PNG"):
        read(tmp_path / "m.png")


# ---- writing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 4, 3), (3, 4)])
def test_write_png_keeps_every_pixel_and_gives_the_same_bytes(tmp_path, shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    for name in ("a.png", "b.png"):
        images.write_png(tmp_path / name, pixels)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_read_rgb_makes_three_channels_of_a_gray_picture(tmp_path):
    assert images.read_rgb(png(tmp_path / "g.png", [[7, 9]])).tolist() == [[[7, 7, 7], [9, 9, 9]]]


def test_no_file_is_left_open(tmp_path):
    path = png(tmp_path / "m.png", [[0, 1]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(UserError):
            images.read_labels(path, 1, (9, 9))
    assert caught == []


@pytest.mark.parametrize("read", READERS, ids=["rgb", "labels"])
def test_what_is_no_file_is_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "m.png")
    with pytest.raises(UserError, match=r"m\.png: not a picture that can be read; save it as PNG"):
        read(tmp_path / "m.png")


@pytest.mark.parametrize("read", READERS, ids=["rgb", "labels"])
@pytest.mark.parametrize("size", [(10_000, 10_000), (50_000, 50_000)])
def test_a_picture_that_unpacks_to_more_than_is_sane_is_never_decoded(tmp_path, read, size, monkeypatch):
    Image.new("L", (4, 3)).save(tmp_path / "m.png")
    data = bytearray((tmp_path / "m.png").read_bytes())
    data[16:24] = struct.pack(">II", *size)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "m.png").write_bytes(data)
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("it is decoded"))
    with pytest.raises(UserError, match=r"m\.png: has more than 89,478,485 pixels; make it smaller"):
        read(tmp_path / "m.png")


def test_a_picture_of_another_size_is_not_decoded(tmp_path, monkeypatch):
    Image.new("L", (40, 30)).save(tmp_path / "m.png")
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("it is decoded"))
    with pytest.raises(UserError, match="is 40x30, but the upright video is 4x3"):
        images.read_rgb(tmp_path / "m.png", (4, 3))


def test_no_picture_starts_a_program(tmp_path, monkeypatch):
    """Pillow would have Ghostscript draw an EPS, by whatever name."""
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **_: pytest.fail(f"{args} is started"))
    head = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    (tmp_path / "m.png").write_text(head + "showpage\n%%EOF\n")
    with Image.open(tmp_path / "m.png") as image:
        assert image.format == "EPS"
    with pytest.raises(UserError, match=r"m\.png: not a picture that can be read; save it as PNG"):
        images.read_rgb(tmp_path / "m.png")


@pytest.mark.parametrize("read", READERS, ids=["rgb", "labels"])
def test_wrong_bits_in_a_picture_are_an_error_or_another_picture(tmp_path, read):
    Image.effect_noise((40, 30), 90).save(tmp_path / "whole.png")
    whole, rng = (tmp_path / "whole.png").read_bytes(), random.Random(7)
    outcomes = set()
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 4, 32))):
            data[rng.randrange(8, len(data) if rng.random() < 0.5 else 80)] ^= 1 << rng.randrange(8)
        (tmp_path / "m.png").write_bytes(data[: rng.choice((len(data), len(data), rng.randrange(len(data))))])
        try:
            read(tmp_path / "m.png")
            outcomes.add("read")
        except UserError as error:
            assert "\n" not in str(error)
            outcomes.add("refused")
    assert "refused" in outcomes


def test_a_label_above_the_number_of_regions_is_no_silent_empty_mask(tmp_path):
    path = tmp_path / "m.png"
    images.write_png(path, np.array([[0, 1, 2]], np.uint8))
    with pytest.raises(UserError, match=r"m\.png: holds the value 2, which is no label up to 1"):
        images.read_labels(path, regions=1)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_written_labels_can_be_seen_and_are_read_again_however_an_editor_saved_them(tmp_path, mode):
    labels = np.array([[0, 1, 2, 3]], np.uint8)
    images.write_labels(tmp_path / "m.png", labels, regions=3)
    assert np.asarray(Image.open(tmp_path / "m.png").convert("L")).tolist() == [[0, 85, 170, 255]]
    Image.open(tmp_path / "m.png").convert(mode).save(tmp_path / "saved.png")
    assert np.array_equal(images.read_labels(tmp_path / "saved.png", regions=3), labels)

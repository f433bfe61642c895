"""A checkpoint is known by its content, not by its place or its age."""

import os

import numpy as np
import pytest

from clevam import weights
from clevam.errors import UserError
from conftest import CHECKPOINT

LARGE = 9 << 20  # bytes, more than what is hashed whole


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model" / "unet").mkdir(parents=True)
    (tmp_path / "model" / "unet" / "config.json").write_text('{"sample_size": 64, "block_out_channels": [1, 2, 3, 4]}')
    (tmp_path / "model" / "unet" / "weights.safetensors").write_bytes(bytes(range(256)) * 4)
    return tmp_path / "model"


def test_fingerprint_is_twelve_hex_digits(folder):
    assert len(weights.fingerprint(folder)) == 12
    assert int(weights.fingerprint(folder), 16)


def test_fingerprint_survives_a_touch_and_a_move(folder):
    before = weights.fingerprint(folder)
    os.utime(folder / "unet" / "config.json", (0, 0))
    moved = folder.rename(folder.with_name("elsewhere"))
    assert weights.fingerprint(moved) == before


def test_fingerprint_does_not_look_at_files_that_are_no_weights(folder):
    before = weights.fingerprint(folder)
    (folder / "README.md").write_text("read me")
    assert weights.fingerprint(folder) == before


@pytest.mark.parametrize("at", [0, 500, 1023])
def test_fingerprint_sees_one_byte_in_a_small_file(folder, at):
    before, path = weights.fingerprint(folder), folder / "unet" / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert weights.fingerprint(folder) != before


def test_fingerprint_sees_a_file_that_is_renamed_and_one_that_is_added(folder):
    before = weights.fingerprint(folder)
    (folder / "unet" / "weights.safetensors").rename(folder / "unet" / "other.safetensors")
    renamed = weights.fingerprint(folder)
    (folder / "empty.json").touch()
    assert len({before, renamed, weights.fingerprint(folder)}) == 3


def test_fingerprint_sees_a_large_file_of_another_training_run(folder):
    path, found = folder / "unet" / "weights.safetensors", set()
    for seed in (1, 2, 1):
        path.write_bytes(np.random.default_rng(seed).bytes(LARGE))
        found.add(weights.fingerprint(folder))
    assert len(found) == 2


@pytest.mark.parametrize("at", [0, LARGE // 2, LARGE - 1])
def test_fingerprint_samples_a_large_file_from_its_first_byte_to_its_last(folder, monkeypatch, at):
    monkeypatch.setattr(weights, "SAMPLES", 65)  # odd, so that one lies in the middle
    path = folder / "unet" / "weights.safetensors"
    path.write_bytes(bytes(LARGE))
    before = weights.fingerprint(folder)
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(b"\1")
    assert weights.fingerprint(folder) != before


def test_fingerprint_sees_the_length_of_a_large_file(folder):
    path, found = folder / "unet" / "weights.safetensors", set()
    for size in (LARGE, LARGE + 1):
        path.write_bytes(bytes(size))
        found.add(weights.fingerprint(folder))
    assert len(found) == 2


def test_native_size_is_the_latents_times_the_cell_of_the_vae(folder):
    (folder / "vae").mkdir()
    (folder / "vae" / "config.json").write_text('{"block_out_channels": [1, 2, 4, 4]}')
    assert weights.native_size(folder) == (512, 64)


def test_native_size_of_the_demo_checkpoint():
    assert weights.native_size(CHECKPOINT) == (128, 64)


def test_native_size_of_another_folder_is_an_error(folder):
    with pytest.raises(UserError, match=r"models\.diffusion: .*model is not a Stable .*: vae/config\.json is missing"):
        weights.native_size(folder)


def test_fingerprint_sees_through_links_as_in_a_download_cache(folder):
    blob = folder.parent / "blob"
    blob.mkdir()
    (blob / "weights.safetensors").write_bytes(b"one")
    (folder / "vae").symlink_to(blob)
    before = weights.fingerprint(folder)
    (blob / "weights.safetensors").write_bytes(b"two")
    assert weights.fingerprint(folder) != before


def test_fingerprint_of_a_file_is_that_of_its_content(tmp_path):
    (tmp_path / "a.png").write_bytes(b"one")
    (tmp_path / "b.jpg").write_bytes(b"one")
    (tmp_path / "c.png").write_bytes(b"two")
    a, b, c = (weights.fingerprint(tmp_path / name) for name in ("a.png", "b.jpg", "c.png"))
    assert a == b != c


@pytest.mark.parametrize(("content", "message"), [("{}", "is no such network's"), ("{", "is damaged; download")])
def test_native_size_of_a_damaged_folder_is_an_error_that_names_it(folder, content, message):
    (folder / "vae").mkdir()
    (folder / "vae" / "config.json").write_text('{"block_out_channels": [1]}')
    (folder / "unet" / "config.json").write_text(content)
    with pytest.raises(UserError, match=rf"^models\.diffusion: .*{message}"):
        weights.native_size(folder)

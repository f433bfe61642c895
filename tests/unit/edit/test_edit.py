"""Painting B into keyframes, with the demo's checkpoint: two steps, pictures of 96 x 72."""

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image
from safetensors.torch import load_file, save_file

from clevam import edit, images
from clevam.errors import UserError
from conftest import CHECKPOINT, write_scene

MACHINE = edit.Machine(str(CHECKPOINT), "cpu", 2)
CROP = {"box": [24, 12, 48, 48], "work": [128, 128]}
FEATHER = 3
SETTINGS = {
    "weights": "0123456789ab",
    "find": ["the dog"],
    "replace": ["a red fox"],
    "feather": FEATHER,
    "edit": {
        "steps": 2, "guidance": 4.5, "seed": 0, "negative": "", "start": "inversion",
        "attention": {"regions": True, "share": True, "adain": True},
    },
}  # fmt: skip


def settings(**changes) -> dict:
    """SETTINGS with other values: of an edit's attention, of an edit, or at the top."""
    result = copy.deepcopy(SETTINGS)
    for key, value in changes.items():
        part = next(d for d in (result["edit"]["attention"], result["edit"], result) if key in d)
        part[key] = value
    return result


@pytest.fixture(scope="module")
def editor() -> edit.Editor:
    return edit.Editor(SETTINGS, MACHINE)


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> dict:
    """The edited reference, keyframe 000000: {"picture", "cache"}."""
    folder = tmp_path_factory.mktemp("first")
    paths = {"picture": str(folder / "reference.png"), "cache": str(folder / "reference")}
    scene = write_scene(folder, "000000")
    edit.reference(*scene, *paths.values(), crop=CROP, settings=SETTINGS, machine=MACHINE)
    return paths


def block(target: Path, first: dict, keyframes: dict, *, crops: dict | None = None, reference="000000", **changes):
    """Edit `keyframes` {name: (keyframe, mask)} and return the pictures in `target` by name."""
    crops = dict.fromkeys(keyframes, CROP) if crops is None else crops
    pictures, masks = zip(*keyframes.values(), strict=True)
    edit.block(
        list(keyframes), pictures, masks, str(target),
        reference=reference, **first, crops=crops, settings=settings(**changes), machine=MACHINE,
    )  # fmt: skip
    return {path.stem: images.read_rgb(path) for path in sorted(target.iterdir())}


# ---- what changes and what does not -------------------------------------------------------------------------------


def test_edit_changes_the_object_and_keeps_every_bit_beyond_the_feather(editor, scene):
    keyframe, mask = scene("000000", mask=(slice(30, 44), slice(36, 60)))
    found, source = editor.edit(keyframe, mask, CROP), images.read_rgb(keyframe)
    y, x = np.mgrid[:72, :96]
    distance = np.hypot(np.maximum(0, np.maximum(30 - y, y - 43)), np.maximum(0, np.maximum(36 - x, x - 59)))
    changed = (found != source).any(-1)
    assert not changed[distance >= 2 * FEATHER + 1].any()
    assert changed[distance == 0].mean() > 0.9
    assert changed[(distance > 0) & (distance <= FEATHER)].mean() > 0.5


def test_edit_shows_only_what_was_painted_as_far_as_the_feather(editor, scene, monkeypatch):
    monkeypatch.setattr(editor, "to_pixels", lambda latent: np.full((128, 128, 3), 255, np.float32))
    found = editor.edit(*scene("000000", mask=(slice(30, 44), slice(36, 60))), CROP)
    assert (found[30 - FEATHER : 44 + FEATHER, 36:60] == 255).all()


@pytest.mark.parametrize("change", [{"guidance": 9}, {"negative": "blurry"}, {"regions": False}, {"replace": ["owl"]}])
def test_edit_follows_words_and_options(editor, scene, change):
    paths = scene("000000")
    changed = edit.Editor(settings(**change), MACHINE)
    assert not np.array_equal(changed.edit(*paths, CROP), editor.edit(*paths, CROP))


def test_words_are_pairs_of_the_negative_and_the_wanted_and_none_for_the_outside():
    editor = edit.Editor(settings(negative="blurry"), MACHINE)
    for found, words in zip(editor.texts, ["", "a red fox"], strict=True):
        assert torch.equal(found, torch.cat([editor.encode("blurry"), editor.encode(words)]))
    for found, words in zip(editor.source_texts, ["", "the dog"], strict=True):
        assert torch.equal(found, editor.encode(words))


def test_latents_and_pixels_are_on_the_scale_of_diffusers(editor):
    rgb = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    pictures, scale = VaeImageProcessor(), editor.vae.config.scaling_factor
    with torch.no_grad():
        latent = editor.vae.encode(pictures.preprocess(Image.fromarray(rgb))).latent_dist.mode() * scale
        (pixels,) = pictures.postprocess(editor.vae.decode(latent / scale).sample, output_type="np")
    torch.testing.assert_close(editor.to_latent(rgb), latent)
    np.testing.assert_allclose(editor.to_pixels(latent), 255 * pixels, atol=1e-2)


def test_edit_takes_a_crop_that_is_not_square_and_reaches_beyond_the_picture(editor, scene, monkeypatch):
    seen, to_latent = [], editor.to_latent
    monkeypatch.setattr(editor, "to_latent", lambda rgb: seen.append(rgb.shape) or to_latent(rgb))
    keyframe, mask = scene("000000", mask=(slice(50, 72), slice(70, 96)))
    found = editor.edit(keyframe, mask, {"box": [42, 36, 72, 48], "work": [192, 128]})
    source = images.read_rgb(keyframe)
    assert seen == [(128, 192, 3)]
    assert found.shape == source.shape
    assert (found != source).any(-1)[50:, 70:].mean() > 0.9


def test_edit_takes_several_regions_each_with_its_words(scene, tmp_path):
    keyframe, mask = scene("000000")
    labels = np.zeros((72, 96), np.uint8)
    labels[30:44, 30:42], labels[30:44, 54:66] = 1, 2
    images.write_png(mask, labels)
    source, two = images.read_rgb(keyframe), settings(find=["a dog", "a cat"], replace=["a fox", "an owl"])
    changed = (edit.Editor(two, MACHINE).edit(keyframe, mask, CROP) != source).any(-1)
    assert changed[labels == 1].mean() > 0.9
    assert changed[labels == 2].mean() > 0.9


@pytest.mark.parametrize(("start", "same"), [("noise", False), ("inversion", True)])
def test_edit_depends_on_the_seed_only_where_it_starts_from_noise(scene, editor, monkeypatch, start, same):
    paths, found = scene("000000"), []
    for seed in (0, 1):
        monkeypatch.setattr(editor, "options", settings(start=start, seed=seed)["edit"])
        found.append(editor.edit(*paths, CROP))
    assert np.array_equal(*found) == same


@pytest.mark.parametrize("words", ["一只红色的狐狸，戴着帽子", "fox " * 2500, "🦊"])
def test_edit_takes_any_words(scene, words):
    keyframe, mask = scene("000000")
    editor = edit.Editor(settings(find=[words], replace=[words], negative=words), MACHINE)
    assert editor.encode(words).shape == (1, 77, 32)
    assert (editor.edit(keyframe, mask, CROP) != images.read_rgb(keyframe)).any()


def test_edit_gives_the_same_bytes_again_whatever_ran_before(scene):
    paths, other = scene("000000"), scene("000012", seed=3)
    first = edit.Editor(SETTINGS, MACHINE).edit(*paths, CROP)
    torch.rand(7)
    again = edit.Editor(SETTINGS, MACHINE)
    again.edit(*other, CROP)
    assert np.array_equal(again.edit(*paths, CROP), first)


def test_latent_labels_cover_the_latent_whatever_the_size_of_the_crop(editor):
    labels = np.zeros((48, 72), np.uint8)
    labels[:24, 48:] = 1
    assert editor.latent_labels(labels, (2, 3)).tolist() == [[0, 0, 1], [0, 0, 0]]


def test_noise_is_the_same_for_every_keyframe_and_type(editor):
    like = torch.zeros(1, 4, 2, 3)
    assert torch.equal(editor.noise(like), editor.noise(like + 1))
    assert torch.equal(editor.noise(like.half()), editor.noise(like).half())


# ---- reference and block ------------------------------------------------------------------------------------------


def test_reference_leaves_its_picture_and_one_file_for_each_step(first):
    assert images.read_rgb(first["picture"]).shape == (72, 96, 3)
    assert sorted(p.name for p in Path(first["cache"]).iterdir()) == ["meta.json", "step_000.pt", "step_001.pt"]


def test_reference_that_is_not_shared_keeps_no_attention(tmp_path, scene):
    paths = str(tmp_path / "reference.png"), tmp_path / "reference"
    edit.reference(*scene("000000"), *paths, crop=CROP, settings=settings(share=False), machine=MACHINE)
    assert list(paths[1].iterdir()) == []


def test_reference_writes_the_same_bytes_twice(tmp_path, scene, first):
    again = tmp_path / "again.png", tmp_path / "again"
    edit.reference(*scene("000000"), *again, crop=CROP, settings=SETTINGS, machine=MACHINE)
    assert again[0].read_bytes() == Path(first["picture"]).read_bytes()
    for path in again[1].iterdir():
        assert path.read_bytes() == (Path(first["cache"]) / path.name).read_bytes()


def test_block_takes_the_reference_as_it_is(tmp_path, scene, first):
    painted = np.full((72, 96, 3), 7, np.uint8)
    images.write_png(tmp_path / "painted.png", painted)
    found = block(tmp_path / "block", first | {"picture": tmp_path / "painted.png"}, {"000000": scene("000000")})
    assert np.array_equal(found["000000"], painted)


def test_block_passes_a_keyframe_without_a_through(tmp_path, scene, first):
    paths = scene("000012", mask=None)
    found = block(tmp_path / "block", first, {"000012": paths}, crops={})
    assert np.array_equal(found["000012"], images.read_rgb(paths[0]))


def test_block_that_edits_nothing_loads_no_model(tmp_path, scene, first, monkeypatch):
    monkeypatch.setattr(edit, "load", None)
    frames = {"000000": scene("000000"), "000012": scene("000012", mask=None)}
    assert block(tmp_path / "block", first, frames, crops={"000000": CROP}).keys() == frames.keys()


def test_block_loads_the_model_once(tmp_path, scene, first, monkeypatch):
    loaded, load = [], edit.load
    monkeypatch.setattr(edit, "load", lambda *args: loaded.append(args) or load(*args))
    frames = {name: scene(name, seed) for seed, name in enumerate(["000000", "000012", "000024"])}
    assert block(tmp_path / "block", first, frames).keys() == frames.keys()
    assert len(loaded) == 1


@pytest.mark.parametrize("adain", [True, False])
def test_block_edits_the_reference_against_its_own_attention_to_the_same_picture(tmp_path, scene, first, adain):
    found = block(tmp_path / "block", first, {"000000": scene("000000")}, reference="none", adain=adain)
    expected = images.read_rgb(first["picture"]).astype(int)
    assert np.abs(found["000000"] - expected).max() <= 1


def test_block_looks_at_the_reference(tmp_path, scene, first):
    frames = {"000012": scene("000012", seed=3)}
    alone = block(tmp_path / "alone", first, frames, share=False)["000012"]
    looking = block(tmp_path / "looking", first, frames)["000012"]
    assert np.abs(alone.astype(int) - looking).max() > 1


def test_block_renormalises_only_with_adain(tmp_path, scene, first):
    frames = {"000012": scene("000012", seed=3)}
    found = [block(tmp_path / str(adain), first, frames, adain=adain)["000012"] for adain in (True, False)]
    assert not np.array_equal(*found)


def test_block_edits_a_keyframe_the_same_whoever_is_beside_it(tmp_path, scene, first):
    frames = {"000012": scene("000012", seed=3), "000024": scene("000024", seed=4)}
    together = block(tmp_path / "together", first, frames)
    alone = block(tmp_path / "alone", first, {"000024": frames["000024"]})
    assert np.array_equal(together["000024"], alone["000024"])


@pytest.mark.parametrize(("change", "message"), [({"weights": "f" * 12}, "weights"), ({"steps": 3}, "timesteps")])
def test_block_refuses_the_attention_of_another_run_and_leaves_nothing(tmp_path, scene, first, change, message):
    with pytest.raises(UserError, match=f"reference: made with {message} .*; delete it and run again"):
        block(tmp_path / "block", first, {"000012": scene("000012")}, **change)
    assert not (tmp_path / "block").exists()


# ---- machine and checkpoint ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "there", "found"),
    [("auto", True, "cuda"), ("auto", False, "cpu"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_pick_device_takes_cuda_where_it_is_and_is_wanted(monkeypatch, device, there, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert edit.pick_device(device) == found


def test_pick_device_never_falls_back_from_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"runtime\.device: cuda, but .* no usable CUDA .*; set it to auto or cpu"):
        edit.Editor(SETTINGS, edit.Machine(str(CHECKPOINT), "cuda", 2))


@pytest.mark.parametrize(
    "missing",
    [
        "model_index.json", "unet", "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae",
        "text_encoder", "text_encoder/model.safetensors", "tokenizer", "scheduler",
    ],
)  # fmt: skip
def test_load_refuses_a_checkpoint_with_something_missing(tmp_path, missing):
    folder = shutil.copytree(CHECKPOINT, tmp_path / "model")
    path = folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    refused(folder)


@pytest.mark.parametrize(
    "damaged",
    ["model_index.json", "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"],
)
def test_load_refuses_a_checkpoint_with_half_a_file(tmp_path, damaged):
    path = shutil.copytree(CHECKPOINT, tmp_path / "model") / damaged
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(tmp_path / "model")


def test_load_refuses_an_inpainting_network(tmp_path):
    folder = shutil.copytree(CHECKPOINT, tmp_path / "model") / "unet"
    (folder / "config.json").write_text(
        (folder / "config.json").read_text().replace('"in_channels": 4', '"in_channels": 9')
    )
    weights = load_file(folder / "diffusion_pytorch_model.safetensors")
    weights["conv_in.weight"] = weights["conv_in.weight"].repeat(1, 3, 1, 1)[:, :9].contiguous()
    save_file(weights, folder / "diffusion_pytorch_model.safetensors")
    refused(tmp_path / "model", "the network is one for inpainting or SDXL, which are not built in yet")


def test_without_regions_the_whole_picture_reads_the_words_of_all():
    off = settings(regions=False, find=["a", "b"], replace=["a fox", "a cat"])
    both = edit.Editor(off, MACHINE)
    assert torch.equal(both.texts[-1][1:], both.encode("a fox, a cat"))


def test_load_refuses_a_folder_that_is_not_there(tmp_path):
    refused(tmp_path / "nowhere", "no such folder")
    refused(Path("no/such"), "no such folder")  # not the name of a model on the network


def refused(folder: Path, why: str = ".+") -> None:
    message = (
        rf"^models\.diffusion: {folder} cannot be loaded as Stable Diffusion in diffusers' layout: {why}; .*again$"
    )
    with pytest.raises(UserError, match=message) as error:
        edit.load(str(folder), torch.float32)
    assert "\n" not in str(error.value)

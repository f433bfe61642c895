"""Every layout of checkpoints, tiny and with random weights: what stock diffusers paints, and what an edit keeps."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

import checkpoints
from clevam import diffusion, edit, images, sampler
from clevam.attention import Context, Options
from clevam.diffusion import Diffusion, Machine
from clevam.edit import Keyframe
from conftest import EDIT, random, write_scene

LAYOUTS = sorted(checkpoints.UNETS)
CROP = {"box": [24, 12, 48, 48], "work": [64, 64]}
SETTINGS = {
    "weights": "0" * 12, "find": ["the dog"], "replace": ["a red fox"], "feather": 3,
    "dtype": "float32", "tiling": False, "variant": None,
    "edit": EDIT | {"steps": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def machines(tmp_path_factory) -> dict[str, Machine]:
    """A checkpoint of every layout."""
    with torch.random.fork_rng():
        folders = {
            layout: checkpoints.write(tmp_path_factory.mktemp(layout), layout, full=False, dtype=torch.float32)
            for layout in LAYOUTS
        }
    return {layout: Machine(str(folder), "cpu", 2) for layout, folder in folders.items()}


@pytest.fixture
def frames(tmp_path) -> list[Keyframe]:
    return [Keyframe(*write_scene(tmp_path, f"{i:06d}", seed=i), CROP) for i in range(2)]


def painted(editor: edit.Editor, frames: list[Keyframe], **roles) -> list[np.ndarray]:
    """The edited keyframes."""
    opened = [editor.open(frame) for frame in frames]
    return editor.edit(opened, editor.invert(opened), **roles)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_regions_and_with_all_inside_it_is_the_stock_pipeline(machines, layout):
    """Same words, same noise, DDIM: the latents of diffusers' own pipeline, whatever the layout asks for beside."""
    model = Diffusion(machines[layout])
    model.pipe.scheduler = DDIMScheduler.from_config(model.scheduler.config)
    z, rgb = random(1, 4, 8, 8), np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    inside = torch.ones(8, 8, dtype=torch.int64)
    negative, wanted = model.encode("", negative=True), model.encode("a red fox")
    pair = torch.cat([negative.embedding, wanted.embedding])
    channels = model.channels(rgb, inside)
    added = model.added([negative.pooled, wanted.pooled], (64, 64))
    options = Options(isolation="none", words="whole")
    context = Context(inside, [pair, pair], options, channels=channels, added=added)
    schedule = sampler.Schedule.of(model.scheduler, 3)
    found = sampler.edit(model.unet, schedule, z, [z] * 4, [context], 5.0)

    options = {"prompt": "a red fox", "num_inference_steps": 3, "guidance_scale": 5.0, "latents": z}
    options |= {"height": 64, "width": 64, "output_type": "latent"}
    if layout == "sd15-inpaint":
        options |= {"image": torch.zeros(1, 3, 64, 64), "mask_image": torch.ones(1, 1, 64, 64), "strength": 1.0}
        options |= {"masked_image_latents": channels[:, 1:]}
    model.pipe.set_progress_bar_config(disable=True)
    torch.testing.assert_close(found, model.pipe(**options).images, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_edit_changes_the_object_and_keeps_every_bit_beyond_the_feather(machines, frames, layout):
    (found,) = painted(edit.Editor(SETTINGS, machines[layout]), frames[:1])
    source, inside = images.read_rgb(frames[0].picture), images.read_labels(frames[0].mask, 1)
    near = cv2.dilate(inside, np.ones((15, 15), np.uint8)) > 0
    assert (found != source).any(-1)[inside > 0].mean() > 0.9
    assert np.array_equal(found[~near], source[~near])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_keyframe_comes_out_the_same_alone_and_in_a_batch(machines, frames, layout):
    editor, cache = edit.Editor(SETTINGS, machines[layout]), {}
    painted(editor, frames[:1], write=cache.__setitem__)
    shared = sampler.Shared(cache.__getitem__)
    together = painted(editor, frames, shared=shared)
    for frame, found in zip(frames, together, strict=True):
        (alone,) = painted(editor, [frame], shared=shared)
        assert np.abs(found.astype(int) - alone).max() <= 1


def test_an_inpainting_network_is_given_the_mask_and_the_source_without_what_is_under_it(machines):
    model = Diffusion(machines["sd15-inpaint"])
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    labels = torch.zeros(8, 8, dtype=torch.int64)
    labels[2:4, 3:6] = 1
    hidden = rgb.copy()
    hidden[16:32, 24:48] = 127
    channels = model.channels(rgb, labels)
    assert torch.equal(channels[0, 0], labels.float())
    assert torch.equal(channels[:, 1:], model.to_latent(hidden))


def test_other_networks_are_given_no_more_than_they_ask_for(machines):
    model = Diffusion(machines["sd15"])
    assert model.channels(np.zeros((64, 64, 3), np.uint8), torch.ones(8, 8, dtype=torch.int64)) is None
    assert model.added([None], (64, 64)) is None


@pytest.mark.parametrize("offload", ["model", "layers"])
def test_models_that_come_to_the_device_only_while_they_work_paint_the_same(machines, frames, offload):
    plain, spared = (edit.Editor(SETTINGS, machines["sdxl"]) for _ in range(2))
    diffusion.place([*spared.model.encoders, spared.model.unet, spared.model.vae], torch.device("cpu"), offload)
    assert torch.equal(spared.model.encode("a cat").embedding, plain.model.encode("a cat").embedding)
    assert all(np.array_equal(*pair) for pair in zip(painted(plain, frames), painted(spared, frames), strict=True))
    if offload == "layers":
        assert {p.device.type for p in spared.model.unet.parameters()} == {"meta"}


def test_each_model_makes_the_one_before_it_leave_and_the_first_the_last(machines):
    model = Diffusion(machines["sd15"])
    models = [*model.encoders, model.unet, model.vae]
    diffusion.place(models, torch.device("cpu"), "model")
    leaving = [m._hf_hook.prev_module_hook.model for m in models]
    assert [leaving.index(m) for m in models] == [1, 2, 0]


def test_tiling_decodes_large_pictures_piece_by_piece(machines):
    whole, tiled = (Diffusion(machines["sd15"], tiling=tiling) for tiling in (False, True))
    calls = []
    tiled.vae.decoder.register_forward_hook(lambda *_: calls.append(1))
    tiled.vae.tile_sample_min_size, tiled.vae.tile_latent_min_size = 64, 8
    latent = random(1, 4, 16, 16)
    assert whole.to_pixels(latent).shape == tiled.to_pixels(latent).shape
    assert len(calls) > 1


def test_half_precision_is_for_the_network_and_paints_nearly_the_same(machines, frames):
    editors = [edit.Editor(SETTINGS | {"dtype": dtype}, machines["sd15"]) for dtype in ("float32", "bfloat16")]
    assert [str(e.model.unet.dtype) for e in editors] == ["torch.float32", "torch.bfloat16"]
    assert [e.made_with["dtype"] for e in editors] == ["torch.float32", "torch.bfloat16"]
    assert {e.model.vae.dtype for e in editors} == {torch.float32}
    single, half = (painted(e, frames[:1])[0].astype(int) for e in editors)
    assert 0 < np.abs(single - half).mean() < 8


def test_auto_is_half_precision_on_cuda_only():
    assert diffusion.pick_dtype("auto", torch.device("cuda")) == torch.float16
    assert diffusion.pick_dtype("auto", torch.device("cpu")) == torch.float32
    assert diffusion.pick_dtype("bfloat16", torch.device("cpu")) == torch.bfloat16


def test_a_variant_is_the_set_of_files_that_is_read(machines, tmp_path):
    half = checkpoints.write(tmp_path / "half", "sd15", full=False, seed=1)
    for path in [*half.rglob("*.safetensors")]:
        path.rename(path.with_suffix(".fp16.safetensors"))
    machine = replace(machines["sd15"], model=str(half))
    assert Diffusion(machine, variant="fp16").unet.config.in_channels == 4
    with pytest.raises(Exception, match=r"models\.diffusion: .* cannot be loaded"):
        Diffusion(machine)

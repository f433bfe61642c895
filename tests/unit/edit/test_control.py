"""ControlNets: what stock diffusers adds, where and when it is added, and what they are shown."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    DDIMScheduler,
    StableDiffusionControlNetPipeline,
    StableDiffusionXLControlNetPipeline,
)

import checkpoints
from clevam import control, edit, images, sampler
from clevam.attention import Context, Options
from clevam.control import Control, Guide
from clevam.diffusion import Diffusion, Machine
from clevam.edit import Keyframe
from clevam.errors import UserError
from conftest import EDIT, box_labels, context, random, write_scene

CROP = {"box": [24, 12, 48, 48], "work": [64, 64]}
INSIDE = box_labels(8, 8, (slice(2, 6), slice(2, 6)))
PIPELINES = {"sd15": StableDiffusionControlNetPipeline, "sdxl": StableDiffusionXLControlNetPipeline}


def network(unet, seed: int = 0) -> ControlNetModel:
    """A ControlNet of random weights for this UNet, those that are zero at first included."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8, 8, 8))
        for weight in net.parameters():
            if not weight.any():
                torch.nn.init.normal_(weight, std=0.1)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, tuple[str, str]]:
    """Of each layout a checkpoint and a ControlNet for it."""
    found = {}
    for layout in PIPELINES:
        with torch.random.fork_rng():
            folder = tmp_path_factory.mktemp(layout)
            model = checkpoints.write(folder / "model", layout, full=False, dtype=torch.float32)
        network(Diffusion(Machine(str(model), "cpu", 2)).unet).save_pretrained(folder / "control")
        found[layout] = (str(model), str(folder / "control"))
    return found


@pytest.fixture
def guided(unet):
    """What the network says of the same latent, with controls."""
    z, net = random(2, 4, 8, 8, seed=3), network(unet)

    def said(*controls: Control, progress: float = 0.0) -> torch.Tensor:
        about = context(INSIDE, progress=progress)
        hint = random(1, 3, 64, 64, seed=4).abs().clamp(max=1)
        about.guides = [Guide(replace(each, network=each.network or net), hint) for each in controls]
        with sampler.installed(unet, [about]):
            return sampler.predict(unet, z, 500, [about])

    return said


# ---- the network -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", PIPELINES)
def test_without_regions_it_is_the_stock_pipeline(folders, layout):
    model = Diffusion(Machine(folders[layout][0], "cpu", 2))
    net = model.control(folders[layout][1], "models.controls.x")
    z, rgb = random(1, 4, 8, 8), np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    inside = torch.ones(8, 8, dtype=torch.int64)
    negative, wanted = model.encode("", negative=True), model.encode("a red fox")
    pair = torch.cat([negative.embedding, wanted.embedding])
    about = Context(inside, [pair, pair], Options(isolation="none", words="whole"))
    about.added = model.added([negative.pooled, wanted.pooled], (64, 64))
    about.guides = [Guide(Control(net, 0.7), control.hint(rgb, pair))]
    schedule = sampler.Schedule.of(model.scheduler, 3)
    found = sampler.edit(model.unet, schedule, z, [z] * 4, [about], 5.0)

    pipe = PIPELINES[layout](**model.pipe.components, controlnet=net)
    pipe.scheduler = DDIMScheduler.from_config(model.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 3, "guidance_scale": 5.0, "latents": z, "output_type": "latent"}
    options |= {"image": torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255, "controlnet_conditioning_scale": 0.7}
    torch.testing.assert_close(found, pipe("a red fox", height=64, width=64, **options).images, rtol=1e-3, atol=1e-3)


def test_one_that_was_not_trained_yet_adds_nothing(guided, unet):
    new = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8, 8, 8))
    assert torch.equal(guided(Control(new)), guided())
    assert not torch.equal(guided(Control(None)), guided())


def test_what_several_say_is_added_up(guided, unet):
    one, other = Control(None, 0.5), Control(network(unet, seed=1))
    torch.testing.assert_close(guided(one, other), guided(other, one))
    torch.testing.assert_close(guided(one, one), guided(replace(one, scale=1.0)), atol=1e-5, rtol=1e-4)


def test_it_is_asked_in_its_window_only(guided):
    half = Control(None, window=(0.5, 1))
    assert torch.equal(guided(half, progress=0.4), guided())
    assert not torch.equal(guided(half, progress=0.5), guided())


@pytest.mark.parametrize(("where", "cells"), [("inside", INSIDE > 0), ("outside", INSIDE == 0)])
def test_it_is_added_where_asked(where, cells):
    x = random(2, 5, 8, 8)
    found = control.only(where, [context(INSIDE)], x)
    assert torch.equal(found[..., cells], x[..., cells])
    assert not found[..., ~cells].any()
    assert control.only(where, [context(INSIDE)], random(2, 5, 4, 4)).shape == (2, 5, 4, 4)


@pytest.mark.parametrize("damage", ["missing", "not a network", "other words"])
def test_a_folder_that_is_none_for_this_checkpoint_is_refused(folders, tmp_path, damage):
    folder = {"missing": str(tmp_path / "no"), "not a network": str(tmp_path), "other words": folders["sdxl"][1]}
    with pytest.raises(UserError, match=r"^models\.controls\.depth: "):
        Diffusion(Machine(folders["sd15"][0], "cpu", 2)).control(folder[damage], "models.controls.depth")


# ---- what it is shown --------------------------------------------------------------------------------------------


def test_canny_draws_the_edges_white_on_black():
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[:, 30:] = 255
    found = control.canny(rgb)
    assert set(np.unique(found)) == {0, 255}
    assert 28 <= np.flatnonzero(found[20, :, 0]).mean() <= 31


def test_maps_are_told_apart_by_keyframe_and_control():
    asked = [{"maps": "depth"}, {"maps": "canny"}, {"maps": "pose"}]
    given = ["depth/0.png", "pose/0.png", "depth/1.png", "pose/1.png"]
    found = edit.maps_of(asked, given, ["0", "1"])
    assert found == {"0": ("depth/0.png", None, "pose/0.png"), "1": ("depth/1.png", None, "pose/1.png")}


@pytest.mark.parametrize(("store", "times"), [("kv", 2), ("replay", 3)])
def test_an_edit_is_shown_its_map_and_so_is_the_reference_that_is_made_again(
    folders, tmp_path, monkeypatch, store, times
):
    asked = [{"model": "x", "maps": "maps", "scale": 1.0, "window": [0, 1], "where": "both"}]
    settings = {
        "weights": "0" * 12, "find": ["the dog"], "replace": ["a red fox"], "feather": 3, "dtype": "float32",
        "tiling": False, "variant": None,
        "edit": EDIT | {"steps": 1, "start": "noise", "control": asked, "share": EDIT["share"] | {"store": store}},
    }  # fmt: skip
    machine, shown = Machine(folders["sd15"][0], "cpu", 2, controls=(folders["sd15"][1],)), []
    monkeypatch.setattr(control, "hint", lambda rgb, like: shown.append(rgb) or torch.zeros(1, 3, *rgb.shape[:2]))
    drawn = np.random.default_rng(5).integers(0, 256, (72, 96, 3), dtype=np.uint8)
    images.write_png(tmp_path / "map.png", drawn)
    keyframe = Keyframe(*write_scene(tmp_path, "000000"), CROP, (str(tmp_path / "map.png"),))
    edit.reference(keyframe, None, f"{tmp_path}/r.png", f"{tmp_path}/r", settings=settings, machine=machine)
    edit.block(
        {"000000": keyframe}, None, f"{tmp_path}/b", untouched={}, cache=f"{tmp_path}/r", settings=settings,
        machine=machine,
    )  # fmt: skip
    x, y, width, height = CROP["box"]
    expected = cv2.resize(drawn[y : y + height, x : x + width], (64, 64), interpolation=cv2.INTER_CUBIC)
    assert [np.array_equal(each, expected) for each in shown] == [True] * times

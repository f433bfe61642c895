"""A subject shown by pictures: what an IP-Adapter adds, and where."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.utils import load_image
from safetensors.torch import save_file
from torch.nn import functional as F
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

import checkpoints
from clevam import edit, images
from clevam.attention import Context, Options, installed
from clevam.diffusion import Diffusion, Machine
from clevam.errors import UserError
from clevam.subject import Subject
from conftest import EDIT, box_labels, random, write_scene

LAYOUTS = {"sd15": StableDiffusionPipeline, "sdxl": StableDiffusionXLPipeline}
WIDTH, TOKENS, INNER = 16, 4, 24  # of a picture's one vector, of the words made of it, of the encoder's layers


def plain_projection(width: int) -> dict[str, torch.Tensor]:
    """One vector to TOKENS words, as in ip-adapter_sd15."""
    return {
        "proj.weight": random(TOKENS * width, WIDTH, seed=1),
        "proj.bias": random(TOKENS * width, seed=2),
        "norm.weight": torch.ones(width),
        "norm.bias": torch.zeros(width),
    }


def full_projection(width: int) -> dict[str, torch.Tensor]:
    """Every token of the encoder to a word, as in ip-adapter-full-face_sd15."""
    return {
        "proj.0.weight": random(INNER, INNER, seed=1),
        "proj.0.bias": random(INNER, seed=2),
        "proj.2.weight": random(width, INNER, seed=3),
        "proj.2.bias": random(width, seed=4),
        "proj.3.weight": torch.ones(width),
        "proj.3.bias": torch.zeros(width),
    }


def write_adapter(folder: Path, unet, projection=plain_projection) -> tuple[str, str]:
    """A random IP-Adapter for a network, with its encoder, in the published format: the two paths."""
    width = unet.config.cross_attention_dim
    state = {f"image_proj.{name}": value for name, value in projection(width).items()}
    layers = [name.removesuffix(".processor") for name in unet.attn_processors if "attn2" in name]
    for n, layer in enumerate(layers):
        for seed, part in enumerate(("to_k", "to_v")):
            size = unet.get_submodule(f"{layer}.{part}").weight.shape[0]
            state[f"ip_adapter.{2 * n + 1}.{part}_ip.weight"] = random(size, width, seed=10 * n + seed) / 4
    save_file(state, folder / "ip-adapter.safetensors")
    config = CLIPVisionConfig(
        hidden_size=INNER, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32,
        patch_size=16, projection_dim=WIDTH,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPVisionModelWithProjection(config).save_pretrained(folder / "encoder")
    return str(folder / "ip-adapter.safetensors"), str(folder / "encoder")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Of each layout a checkpoint with an IP-Adapter, and pictures of two subjects."""
    folder = tmp_path_factory.mktemp("subjects")
    found = {}
    for layout in LAYOUTS:
        (folder / layout).mkdir()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = str(checkpoints.write(folder / layout / "model", layout, full=False, dtype=torch.float32))
        found[layout] = model, write_adapter(folder / layout, Diffusion(Machine(model, "cpu", 2)).unet)
    for n in range(2):
        pixels = np.random.default_rng(n).integers(0, 256, (40, 32, 3), dtype=np.uint8)
        images.write_png(folder / f"{n}.png", pixels)
    return found, [str(folder / f"{n}.png") for n in range(2)]


def shown(model: str, adapter: tuple[str, str], *subjects: Subject) -> Diffusion:
    return Diffusion(Machine(model, "cpu", 2, subject=adapter), shown=subjects)


def says(model: Diffusion, labels: torch.Tensor, **options) -> torch.Tensor:
    """What the network says of a latent for both halves, with the looks of the model's subjects."""
    words = [model.encode(text) for text in ("", "a fox")]
    both = torch.cat([each.embedding for each in words])
    about = Context(labels, [both] * (1 + int(labels.max())), Options(**options), looks=model.looks)
    z = random(1, 4, *labels.shape).repeat(2, 1, 1, 1)
    with torch.no_grad(), installed(model.unet, [about]):
        added = model.added([each.pooled for each in words], (64, 64))
        return model.unet(z, 500, both, added_cond_kwargs=added).sample


WHOLE = torch.ones(8, 8, dtype=torch.int64)
HALF = box_labels(8, 8, (slice(0, 8), slice(0, 4)))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_over_all_of_a_picture_it_is_diffusers_own(made, layout, count):
    (model, adapter), pictures = made[0][layout], made[1][:count]
    ours = says(shown(model, adapter, Subject(1, 0.7, tuple(pictures))), WHOLE, isolation="none")
    pipe = LAYOUTS[layout].from_pretrained(model)
    encoder = CLIPVisionModelWithProjection.from_pretrained(adapter[1])
    pipe.register_modules(image_encoder=encoder, feature_extractor=None)
    pipe.load_ip_adapter(str(Path(adapter[0]).parent), "", Path(adapter[0]).name, image_encoder_folder=None)
    pipe.set_ip_adapter_scale(0.7)
    embeds = pipe.prepare_ip_adapter_image_embeds([[load_image(path) for path in pictures]], None, "cpu", 1, True)
    told = Diffusion(Machine(model, "cpu", 2))
    words = [told.encode(text) for text in ("", "a fox")]
    added = told.added([each.pooled for each in words], (64, 64)) or {}
    with torch.no_grad():
        theirs = pipe.unet(
            random(1, 4, 8, 8).repeat(2, 1, 1, 1), 500, torch.cat([each.embedding for each in words]),
            added_cond_kwargs=added | {"image_embeds": embeds},
        ).sample  # fmt: skip
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


def test_it_reaches_the_tokens_of_its_region_and_no_others(made):
    (model, adapter), pictures = made[0]["sd15"], made[1]
    plain = shown(model, adapter)
    one = shown(model, adapter, Subject(1, 1.0, tuple(pictures[:1])))
    seen = {}
    for name, each in {"plain": plain, "one": one}.items():
        # What each layer passes on, before convolutions carry it further.
        layers = [layer for path, layer in each.unet.named_modules() if path.endswith("attn2")]
        kept = seen.setdefault(name, [])
        hooks = [layer.register_forward_hook(lambda _, __, out, kept=kept: kept.append(out)) for layer in layers[:1]]
        says(each, HALF)
        for hook in hooks:
            hook.remove()
    before, after = seen["plain"][0], seen["one"][0]
    inside = F.interpolate(HALF[None, None].float(), scale_factor=(before.shape[1] / 64) ** 0.5).flatten() > 0
    assert (after - before)[:, inside].abs().amin(1).max() > 1e-3
    assert torch.equal(after[:, ~inside], before[:, ~inside])


def test_each_region_has_a_subject_of_its_own(made):
    (model, adapter), (a, b) = made[0]["sd15"], made[1]
    labels = box_labels(8, 8, (slice(0, 4), slice(0, 8)), (slice(4, 8), slice(0, 8)))
    looks = [
        says(shown(model, adapter, *subjects), labels)
        for subjects in (
            [Subject(1, 1.0, (a,)), Subject(2, 1.0, (b,))],
            [Subject(1, 1.0, (b,)), Subject(2, 1.0, (a,))],
            [Subject(1, 1.0, (a,))],
        )
    ]
    assert all((x - y).abs().max() > 1e-3 for x, y in [looks[:2], looks[1:], looks[::2]])


def test_scale_zero_changes_nothing_and_the_network_stays_as_it_was(made):
    (model, adapter), pictures = made[0]["sd15"], made[1]
    plain, none = shown(model, adapter), shown(model, adapter, Subject(1, 0.0, (pictures[0],)))
    torch.testing.assert_close(says(none, HALF), says(plain, HALF), atol=1e-6, rtol=1e-5)
    assert {type(each) for each in none.unet.attn_processors.values()} == {
        type(each) for each in plain.unet.attn_processors.values()
    }
    assert none.unet.encoder_hid_proj is None
    assert none.unet.state_dict().keys() == plain.unet.state_dict().keys()


def test_an_adapter_that_reads_every_token_of_the_encoder(made, tmp_path):
    (model, _), pictures = made[0]["sd15"], made[1]
    adapter = write_adapter(tmp_path, Diffusion(Machine(model, "cpu", 2)).unet, full_projection)
    look = shown(model, adapter, Subject(1, 1.0, tuple(pictures))).looks[1]
    k, v = next(iter(look.values()))
    assert k.shape == v.shape
    assert k.shape[:2] == (2, 2 * (1 + (32 // 16) ** 2))  # two pictures of 4 patches and a class token


@pytest.mark.parametrize("store", ["kv", "hidden", "replay"])
def test_an_edit_is_drawn_after_the_pictures_however_the_reference_is_kept(made, tmp_path, store):
    (model, adapter), pictures = made[0]["sd15"], made[1]
    keyframe = edit.Keyframe(*write_scene(tmp_path, "000000"), {"box": [24, 12, 48, 48], "work": [64, 64]})
    settings = {
        "weights": "", "find": ["the dog"], "replace": ["a red fox"], "feather": 3, "dtype": "float32",
        "tiling": False, "variant": None,
        "edit": EDIT | {"steps": 2, "start": "noise", "share": EDIT["share"] | {"store": store}},
    }  # fmt: skip

    def painted(*subjects: Subject) -> tuple[np.ndarray, np.ndarray]:
        """The keyframe as reference, and the same one painted beside it."""
        folder, machine = tmp_path / str(len(list(tmp_path.iterdir()))), Machine(model, "cpu", 2, subject=adapter)
        options = {"settings": settings, "machine": machine, "subjects": subjects}
        edit.reference(keyframe, None, f"{folder}.png", str(folder), **options)
        edit.block({"000000": keyframe}, None, f"{folder}-block", untouched={}, cache=str(folder), **options)
        return images.read_rgb(f"{folder}.png"), images.read_rgb(f"{folder}-block/000000.png")

    (plain, _), (drawn, again) = painted(), painted(Subject(1, 4.0, (pictures[0],)))
    assert np.abs(plain.astype(int) - drawn).max() > 2
    assert np.abs(again.astype(int) - drawn).max() <= 2  # whoever looks at itself stays itself


@pytest.mark.parametrize("damage", ["a pickle", "missing", "of another network", "no encoder", "a LoRA", "faces"])
def test_files_that_are_no_adapter_are_refused(made, tmp_path, damage):
    model, (weights, encoder) = made[0]["sd15"]
    path = tmp_path / ("x.bin" if damage == "a pickle" else "x.safetensors")
    if damage == "of another network":
        weights, encoder = made[0]["sdxl"][1]
    elif damage == "no encoder":
        encoder = str(tmp_path)
    else:
        weights = str(path)
        if damage == "a LoRA":
            save_file({"unet.lora_A.weight": torch.ones(2, 2)}, path)
        elif damage == "faces":
            write_adapter(tmp_path, Diffusion(Machine(model, "cpu", 2)).unet, lambda _: {"proj.0.weight": random(4, 4)})
            weights = str(tmp_path / "ip-adapter.safetensors")
    with pytest.raises(UserError, match=r"^models\.subject: .* is no IP-Adapter for models\.diffusion: "):
        shown(model, (weights, encoder), Subject(1, 1.0, tuple(made[1][:1])))

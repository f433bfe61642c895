"""LoRAs and learnt words: what they change, and files that are neither."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

import checkpoints
from clevam import edit
from clevam.adapters import Adapter
from clevam.diffusion import Diffusion, Machine
from clevam.errors import UserError
from conftest import EDIT, random, write_scene

LAYOUTS = {"sd15": StableDiffusionPipeline, "sdxl": StableDiffusionXLPipeline}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    """Of each layout a checkpoint, with a LoRA beside it as diffusers writes them."""
    found = {}
    for layout, pipeline in LAYOUTS.items():
        folder = tmp_path_factory.mktemp(layout)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            found[layout] = str(checkpoints.write(folder / "model", layout, full=False, dtype=torch.float32))
            unet = Diffusion(Machine(found[layout], "cpu", 2)).unet
            unet.add_adapter(LoraConfig(r=2, init_lora_weights="gaussian", target_modules=["to_q", "to_v"]))
            for name, weight in unet.named_parameters():
                if "lora_B" in name:
                    torch.nn.init.normal_(weight)
        pipeline.save_lora_weights(found[layout], get_peft_model_state_dict(unet), weight_name="lora.safetensors")
    return found


def model(folder: str, *adapters: Adapter) -> Diffusion:
    return Diffusion(Machine(folder, "cpu", 2), changed_by=adapters)


def says(model: Diffusion) -> torch.Tensor:
    """What the network says of a latent."""
    pooled = model.encode("a fox").pooled
    with torch.no_grad():
        return model.unet(
            random(1, 4, 8, 8), 500, model.encode("a fox").embedding,
            added_cond_kwargs=model.added([pooled], (64, 64)),
        ).sample  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_lora_changes_the_network_as_much_as_asked(folders, layout):
    folder, lora = folders[layout], f"{folders[layout]}/lora.safetensors"
    plain, half, full, none = (
        says(model(folder, *[Adapter(lora, "fur", scale)] * (scale is not None))) for scale in (None, 0.5, 1.0, 0.0)
    )
    torch.testing.assert_close(none, plain, atol=1e-6, rtol=1e-5)
    assert (full - plain).abs().max() > 1e-3
    assert (half - plain).abs().max() > 1e-4
    assert not torch.allclose(half, full)


def test_a_lora_works_inside_of_the_regions_attention(folders, tmp_path):
    lora = f"{folders['sd15']}/lora.safetensors"
    keyframe = edit.Keyframe(*write_scene(tmp_path, "000000"), {"box": [24, 12, 48, 48], "work": [64, 64]})

    def painted(scale: float) -> np.ndarray:
        asked = EDIT | {"steps": 2, "start": "noise", "adapters": [{"model": "fur", "scale": scale}]}
        settings = {
            "weights": "", "find": ["the dog"], "replace": ["a red fox"], "feather": 3, "dtype": "float32",
            "tiling": False, "variant": None, "edit": asked,
        }  # fmt: skip
        editor = edit.Editor(settings, Machine(folders["sd15"], "cpu", 2, adapters=(lora,)))
        return editor.paint([editor.open(keyframe)], None, None, None)[0]

    assert np.abs(painted(4.0) - painted(0.0)).max() > 0.5


@pytest.mark.parametrize("vectors", [1, 3])
def test_a_learnt_word_means_its_vectors(folders, tmp_path, vectors):
    folder = folders["sd15"]
    width = model(folder).encode("").embedding.shape[-1]
    learnt = random(vectors, width)
    save_file({"anything": learnt if vectors > 1 else learnt[0]}, tmp_path / "word.safetensors")
    plain, taught = model(folder), model(folder, Adapter(str(tmp_path / "word.safetensors"), "my-dog"))
    assert torch.equal(taught.encode("a fox").embedding, plain.encode("a fox").embedding)
    assert not torch.allclose(taught.encode("a <my-dog>").embedding, plain.encode("a <my-dog>").embedding)
    ids = taught.pipe.tokenizer(taught.pipe.maybe_convert_prompt("<my-dog>", taught.pipe.tokenizer)).input_ids[1:-1]
    table = taught.pipe.text_encoder.get_input_embeddings().weight
    assert torch.equal(table[ids], learnt)


def test_a_learnt_word_for_xl_teaches_both_encoders(folders, tmp_path):
    plain = model(folders["sdxl"])
    widths = [encoder.get_input_embeddings().weight.shape[1] for encoder in plain.encoders]
    save_file(dict(zip(("clip_l", "clip_g"), (random(1, w) for w in widths), strict=True)), tmp_path / "w.safetensors")
    taught = model(folders["sdxl"], Adapter(str(tmp_path / "w.safetensors"), "my-dog"))
    before, after = (each.encode("a <my-dog>") for each in (plain, taught))
    for part in (slice(0, 8), slice(-8, None)):
        assert not torch.allclose(before.embedding[..., part], after.embedding[..., part])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("a pickle", "it is no .safetensors"),
        ("missing", "No such file"),
        ("of another network", "Target modules"),
        ("a model", "it holds 2 tensors"),
        ("words too wide", "shape"),
        ("cut", ""),
    ],
)
def test_a_file_that_is_neither_is_refused(folders, tmp_path, damage, reason):
    path = tmp_path / ("x.pt" if damage == "a pickle" else "x.safetensors")
    if damage == "of another network":
        save_file({f"unet.{part}.lora_{x}.weight": torch.ones(2, 2) for part in "ab" for x in "AB"}, path)
    elif damage == "a model":
        save_file({"conv.weight": torch.ones(2, 2), "conv.bias": torch.ones(2)}, path)
    elif damage == "words too wide":
        save_file({"emb_params": torch.ones(1, 7)}, path)
    elif damage == "cut":
        save_file({"emb_params": torch.ones(1, 7)}, path)
        path.write_bytes(path.read_bytes()[:40])
    elif damage == "a pickle":
        torch.save({"emb_params": torch.ones(1, 32)}, path)
    with pytest.raises(UserError, match=rf"^models\.adapters\.fur: .*({reason})"):
        model(folders["sd15"], Adapter(str(path), "fur"))

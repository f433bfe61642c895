"""Write a tiny Stable Diffusion with random weights, in the folder layout of the real one.

It has the blocks of Stable Diffusion 1.5 in their order, so that whatever finds its layers by name or by
depth works on both, but few channels: it runs on a CPU in seconds and is small enough for the repository.
The pictures mean nothing. A trained model of the same layout takes its place.

    python demo/random_checkpoint.py [--out demo/models/diffusion] [--seed 0]
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

IMAGE_SIZE = 128  # pixels; 16 x 16 latents, so that the UNet's middle block still has 2 x 2
TEXT_WIDTH = 32
TEXT_LENGTH = 77
MERGES = ["t h", "th e</w>", "i n", "in g</w>", "a n", "an d</w>", "e r", "o n", "a r", "r e", "o f</w>"]
VOLATILE = ("_diffusers_version", "transformers_version", "_name_or_path")


def vocabulary() -> dict[str, int]:
    """Token to id, in CLIP's order: bytes, bytes that end a word, merges, start, end.

    All 256 bytes are there in both forms, so any string in any script can be encoded.
    """
    alphabet = sorted(ByteLevel.alphabet())
    tokens = [*alphabet, *(byte + "</w>" for byte in alphabet), *(pair.replace(" ", "") for pair in MERGES)]
    return {token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}


def make_tokenizer() -> CLIPTokenizer:
    merges = [tuple(pair.split()) for pair in MERGES]
    return CLIPTokenizer(vocab=vocabulary(), merges=merges, model_max_length=TEXT_LENGTH)


def text_config(tokenizer: CLIPTokenizer, width: int, inner: int, layers: int) -> CLIPTextConfig:
    """SD 1.5's text encoder with other sizes: of a word, inside of a layer, and how many layers."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=inner,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=TEXT_LENGTH,
        hidden_act="quick_gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def make_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    model = CLIPTextModel(text_config(tokenizer, TEXT_WIDTH, 2 * TEXT_WIDTH, layers=2))
    # CLIP starts its attention so small that the padding, most of the 77 tokens, hardly hears of the words
    amplify(model, 8.0, "v_proj", "out_proj")
    return model


def make_vae() -> AutoencoderKL:
    """Pixels to latents at an eighth of the size, in four channels."""
    vae = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[16, 16, 16, 16],
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=IMAGE_SIZE,
        scaling_factor=0.18215,
    )
    with torch.no_grad():
        vae.quant_conv.weight[4:] = 0
        vae.quant_conv.bias[4:] = -12  # log variance: an image has one latent, as good as without noise
    amplify(vae, 20.0, "quant_conv")  # scaled latents of about unit variance, which the UNet expects
    smooth(vae.decoder)
    amplify(vae, 2.5, "decoder.conv_out")  # colours instead of flat grey
    return vae


def make_unet() -> UNet2DConditionModel:
    """Stable Diffusion 1.5's default blocks and eight heads, a twentieth to a fortieth of the channels."""
    unet = UNet2DConditionModel(
        sample_size=IMAGE_SIZE // 8,
        block_out_channels=[16, 24, 32, 32],  # growing where SD 1.5 grows, which decides where shortcuts are
        layers_per_block=2,
        norm_num_groups=8,
        attention_head_dim=8,  # the number of heads: the name is a slip of diffusers that SD 1.5 carries on
        cross_attention_dim=TEXT_WIDTH,
    )
    amplify(unet, 4.0, "attn2.to_q", "attn2.to_k")  # attention that prefers some words to others,
    amplify(unet, 3.0, "attn2.to_v", "attn2.to_out.0")  # and words that change the picture
    predict_input(unet)
    return unet


@torch.no_grad()
def predict_input(unet: UNet2DConditionModel, share: float = 0.93, rest: float = 0.15) -> None:
    """Let the predicted noise be `share` of the normalised input, plus `rest` of the random layers.

    Noise that ignores the input is divided by sqrt(alpha) = 0.07 at the first step and leaves the range of
    latents. With eps = g x, noise of unit variance ends as latents of (1 - g) 14.6, the inverse of 0.07,
    and a picture survives inversion. Each latent channel c goes as the pair (c, -c) along the outermost skip
    connection, because silu(c) - silu(-c) = c, and each pair is one group of the last normalisation.
    """
    pair = torch.eye(4).repeat_interleave(2, 0) * torch.tensor([1, -1] * 4)[:, None]  # (8, 4)
    last, width = unet.up_blocks[-1].resnets[-1], unet.conv_in.out_channels
    amplify(unet, rest, "up_blocks.3.resnets.2.conv2", "up_blocks.3.attentions.2.proj_out", "conv_out")
    write_tap(unet.conv_in, pair, slice(None))
    write_tap(last.conv_shortcut, torch.eye(8), slice(-width, 8 - width))  # the skip comes last
    unet.conv_out.weight[:, :8] = 0
    unet.conv_out.weight[:, :8, 1, 1] = share * pair.T


def write_tap(layer: torch.nn.Conv2d, matrix: torch.Tensor, inputs: slice) -> None:
    """Make the first outputs of a convolution a matrix times some of its inputs, pixel by pixel."""
    rows, middle = len(matrix), layer.kernel_size[0] // 2
    layer.weight[:rows] = 0
    layer.bias[:rows] = 0
    layer.weight[:rows, inputs, middle, middle] = matrix


def make_scheduler() -> DDIMScheduler:
    """Stable Diffusion 1.5's noise schedule."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="epsilon",
    )


def amplify(model: torch.nn.Module, gain: float, *names: str) -> None:
    """Multiply the weights of the layers whose dotted names end in one of `names`."""
    for name, layer in model.named_modules():
        if f".{name}".endswith(tuple(f".{ending}" for ending in names)):
            layer.weight.data.mul_(gain)


def smooth(model: torch.nn.Module) -> None:
    """Make each convolution's kernel flat, so that it mixes the channels as before but blurs the picture."""
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data[:] = layer.weight.data.mean((2, 3), keepdim=True)


def make_pipeline(seed: int) -> StableDiffusionPipeline:
    torch.manual_seed(seed)
    tokenizer = make_tokenizer()
    return StableDiffusionPipeline(
        vae=make_vae().half(),
        text_encoder=make_text_encoder(tokenizer).half(),
        tokenizer=tokenizer,
        unet=make_unet().half(),
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def save(pipeline: StableDiffusionPipeline, out: Path) -> None:
    """Write the folder under another name first, so that `out` is never half a model."""
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    pipeline.save_pretrained(partial)
    save_vocabulary(partial / "tokenizer")
    for path in partial.rglob("*.json"):
        strip(path)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


def save_vocabulary(folder: Path) -> None:
    """The two files of SD 1.5's tokenizer, for readers that do not know `tokenizer.json`."""
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, model["merges"]), ""]))


def strip(path: Path) -> None:
    """Drop what depends on the machine and not on the seed: library versions and paths."""
    content = json.loads(path.read_text())
    kept = {key: value for key, value in content.items() if key not in VOLATILE}
    if "dtype" in kept:  # else transformers loads the text encoder in half, and diffusers the rest in full
        kept["dtype"] = "float32"
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "models/diffusion")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    save(make_pipeline(arguments.seed), arguments.out)


if __name__ == "__main__":
    main()

"""A tiny Stable Diffusion with random weights, in the folder layout of the real one.

It has the blocks of Stable Diffusion 1.5 in their order, so that whatever finds its layers by name or by
depth works on both, but few channels: it runs on a CPU in milliseconds. The pictures mean nothing.
"""

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from checkpoint import make_scheduler, text_config
from words import make_tokenizer

IMAGE_SIZE = 128  # pixels; 16 x 16 latents, so that the UNet's middle block still has 2 x 2
TEXT_WIDTH = 32


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

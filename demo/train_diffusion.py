"""Train the demo's Stable Diffusion: its UNet and its text encoder, on latents of the VAE of train_vae.py.

    python demo/train_diffusion.py [--out demo/models/diffusion] [--minutes 240] [--resume]

First at half the size, for a quarter of the cost, then at full size. Writes a folder that stock diffusers loads.
"""

import hashlib
import textwrap
from copy import deepcopy
from functools import lru_cache, partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image, ImageDraw
from torch import Tensor, nn
from transformers import CLIPTextModel

import random_checkpoint
from diffusion_training import Cache, Options, Row, Training, filling, parser
from scenery import picture
from words import TEXT_LENGTH, make_tokenizer
from world import still

SIDE = 128  # pixels
CELL = 4  # pixels of a latent's side
HALF_SIZE = 0.6  # share of the run at half the size
DROPPED = 0.1  # share of captions that are left empty, for classifier-free guidance
GAMMA = 5.0  # min-SNR weighting (Hang et al., ICCV 2023)
TEXT_WIDTH = 128
SHOWN = 8  # captions of the sheet that is drawn in the end

# ---- the networks ------------------------------------------------------------------------------------------------


def make_unet() -> UNet2DConditionModel:
    """8.8 million weights in Stable Diffusion's order, of three levels: 32, 16 and 8 cells wide."""
    return UNet2DConditionModel(
        sample_size=SIDE // CELL,
        down_block_types=["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        block_out_channels=[64, 128, 192],
        layers_per_block=1,
        norm_num_groups=16,
        attention_head_dim=[2, 4, 6],  # the number of heads: the name is a slip of diffusers that SD 1.5 carries on
        cross_attention_dim=TEXT_WIDTH,
    )


def make_text_encoder() -> CLIPTextModel:
    return CLIPTextModel(random_checkpoint.text_config(make_tokenizer(), TEXT_WIDTH, 4 * TEXT_WIDTH, layers=3))


class Painter(nn.Module):
    """What is trained: the network that predicts noise, and the one that reads."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(self, noisy: Tensor, times: Tensor, words: Tensor) -> Tensor:
        """Latents [B, 4, h, w], their times [B] and token ids [B, T] to the noise in them, [B, 4, h, w]."""
        return self.unet(noisy, times, encoder_hidden_states=self.text_encoder(words)[0]).sample.float()


def make_painter(options: Options) -> Painter:
    """As it was written, or a new one."""
    if options.resume:
        unet = UNet2DConditionModel.from_pretrained(options.out / "unet")
        return Painter(unet, CLIPTextModel.from_pretrained(options.out / "text_encoder"))
    torch.manual_seed(options.seed)
    return Painter(make_unet(), make_text_encoder())


# ---- what they learn from ----------------------------------------------------------------------------------------


def token_ids(captions: list[str]) -> Tensor:
    """Captions to int64 [B, 77], as the pipeline reads them."""
    options = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
    return tokenizer()(captions, max_length=TEXT_LENGTH, **options).input_ids


tokenizer = lru_cache(make_tokenizer)
read_vae = lru_cache(AutoencoderKL.from_pretrained)


def open_cache(folder: Path, rows: int, side: int) -> Cache:
    cells = side // CELL
    return Cache(folder, rows, {"latent": ("float16", (4, cells, cells)), "words": ("int16", (TEXT_LENGTH,))})


@torch.no_grad()
def make_row(seed: int, vae: Path, side: int) -> Row:
    """A picture's scaled latent, float32 [4, h, w], and its caption's token ids, int64 [77]."""
    pixels, caption = picture(seed, side)
    model = read_vae(vae)
    latent = model.encode(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1).latent_dist.mode()
    return {"latent": (latent[0] * model.config.scaling_factor).numpy(), "words": token_ids([caption])[0].numpy()}


def loss_of(painter: Painter, latents: Tensor, words: Tensor) -> Tensor:
    """The error of the noise predicted for latents [B, 4, h, w] under captions [B, T], at times by chance."""
    scheduler = random_checkpoint.make_scheduler()
    times = torch.randint(len(scheduler.alphas_cumprod), (len(latents),), device=latents.device)
    noise = torch.randn_like(latents)
    error = (painter(scheduler.add_noise(latents, noise, times), times, words) - noise).square().mean((1, 2, 3))
    alphas = scheduler.alphas_cumprod.to(latents.device)[times]
    ratio = alphas / (1 - alphas)
    return (error * (ratio.clamp(max=GAMMA) / ratio)).mean()


# ---- what is written ---------------------------------------------------------------------------------------------


def save(painter: Painter, vae: AutoencoderKL, out: Path) -> None:
    """The whole pipeline in half precision."""
    pipeline = StableDiffusionPipeline(
        vae=deepcopy(vae).half(),
        text_encoder=deepcopy(painter.text_encoder).cpu().half(),
        tokenizer=make_tokenizer(),
        unet=deepcopy(painter.unet).cpu().half(),
        scheduler=random_checkpoint.make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    random_checkpoint.save(pipeline, out)


def draw_sheet(folder: Path, path: Path, device: torch.device) -> None:
    """What the model at `folder` draws for the captions of a few training scenes, under each of the true pictures."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder).to(device)
    pipeline.set_progress_bar_config(disable=True)
    stills = [still(seed, (SIDE, SIDE)) for seed in range(SHOWN)]
    drawn = pipeline([each.caption for each in stills], num_inference_steps=25, guidance_scale=4.0).images
    sheet = Image.new("RGB", (SHOWN * SIDE, 2 * SIDE + 60), "white")
    pen = ImageDraw.Draw(sheet)
    for k, (each, image) in enumerate(zip(stills, drawn, strict=True)):
        sheet.paste(Image.fromarray(each.picture), (k * SIDE, 0))
        sheet.paste(image, (k * SIDE, SIDE))
        pen.text((k * SIDE + 2, 2 * SIDE + 2), textwrap.fill(each.caption, 20), "black")
    sheet.save(path)


def train(options: Options) -> None:
    training = Training(make_painter(options), options)
    folder = options.out / "vae"
    vae = AutoencoderKL.from_pretrained(folder)
    made_with = hashlib.sha256(next(folder.glob("*.safetensors")).read_bytes()).hexdigest()[:8]
    openings = {
        side: partial(open_cache, options.aside / f"latents-{side}-{made_with}", options.pictures, side)
        for side in (SIDE // 2, SIDE)
    }
    caches = {side: opening() for side, opening in openings.items()}
    empty = token_ids([""])[0]

    def loss() -> Tensor:
        batch = caches[SIDE // 2 if training.progress < HALF_SIZE else SIDE].draw(training.rng, options.batch)
        latents, words = batch["latent"].float(), batch["words"].long()
        words[torch.from_numpy(training.rng.uniform(size=len(words)) < DROPPED)] = empty
        with training.autocast():
            return loss_of(training.model, latents.to(options.place), words.to(options.place))

    # The files of the VAE are replaced at every save, by the same bytes: the workers read a copy that stays.
    copy = options.aside / f"vae-{made_with}"
    vae.save_pretrained(copy)
    jobs = [(opening, partial(make_row, vae=copy, side=side)) for side, opening in openings.items()]
    with filling(jobs, options.workers):
        training.run(loss, partial(save, vae=vae, out=options.out))
    draw_sheet(options.out, options.aside / "sheet.png", options.place)


def main() -> None:
    out = Path(__file__).parent / "models/diffusion"
    arguments = parser(__doc__, out, minutes=240, batch=24, rate=6e-4, pictures=60_000).parse_args()
    train(Options(**vars(arguments)))


if __name__ == "__main__":
    main()

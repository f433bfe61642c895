"""The trainings of the demo's models, with tiny networks and a few steps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel

import train_diffusion
import train_vae
from diffusion_training import Options, Training, draw_curve, schedule
from scenery import close_up
from words import TEXT_LENGTH, make_tokenizer


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(tmp_path / "model", steps=6, minutes=None, batch=2, rate=1e-2, device="cpu", threads=1)


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=[4, 4, 4],
        layers_per_block=1,
        norm_num_groups=2,
        mid_block_add_attention=False,
    )


@pytest.fixture
def painter() -> train_diffusion.Painter:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
        block_out_channels=[8, 8],
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=2,
        cross_attention_dim=8,
    )
    words = CLIPTextConfig(
        vocab_size=len(make_tokenizer()),
        hidden_size=8,
        intermediate_size=8,
        projection_dim=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=TEXT_LENGTH,
    )
    return train_diffusion.Painter(unet, CLIPTextModel(words))


def line(options: Options) -> tuple[Training, callable]:
    """The training of two weights, and its loss."""
    torch.manual_seed(0)
    training = Training(torch.nn.Linear(1, 1), options)
    x = torch.linspace(-1, 1, 9)[:, None]
    return training, lambda: (training.model(x) - 2 * x - 1).square().mean()


# ---- the loop ----------------------------------------------------------------------------------------------------


def test_the_rate_rises_and_falls():
    rates = [schedule(progress) for progress in np.linspace(0, 1, 101)]
    assert 0 < rates[0] < rates[1] < rates[2] == max(rates) == 1
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(0.02)


def test_a_run_goes_on_where_it_was_left(options):
    whole, loss = line(options)
    whole.run(loss, lambda model: None)
    options = replace(options, out=options.out.with_name("other"))
    first, loss = line(options)
    for _ in range(3):
        first.step(loss())
    first.save(lambda model: None)
    second, loss = line(replace(options, resume=True))
    assert second.progress == 0.5
    second.run(loss, lambda model: None)
    assert second.losses == pytest.approx(whole.losses, rel=1e-6)
    assert [*second.average.parameters()] == [*whole.average.parameters()]
    assert {path.name for path in options.aside.iterdir()} == {"linear.pt", "linear.png"}


def test_a_batch_that_breaks_is_left_out(options):
    training, loss = line(options)
    before = [weight.clone() for weight in training.model.parameters()]
    training.step(loss() * torch.inf)
    assert [*training.model.parameters()] == before
    training.step(loss())
    assert [*training.model.parameters()] != before


def test_time_may_be_the_length(options):
    training, loss = line(replace(options, steps=None, minutes=0.001))
    training.run(loss, lambda model: None)
    assert training.seconds >= 0.06


@pytest.mark.parametrize("losses", [[1.0], [2.0, 1.0], [1.0] * 5000])
def test_the_curve_is_a_picture(tmp_path, losses):
    draw_curve(losses, tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as image:
        assert image.size == (800, 400)


# ---- what is learnt ----------------------------------------------------------------------------------------------


def test_a_close_up_shows_what_it_names():
    for seed in range(5):
        picture, caption = close_up(seed, 32)
        assert picture.shape == (32, 32, 3)
        assert caption.split()[0] in ("a", "an", "the")


def test_the_vae_learns_a_batch_by_heart(options, vae):
    training = Training(vae, replace(options, steps=30))
    pixels = train_vae.crops(torch.randint(0, 256, (2, 3, 128, 128), dtype=torch.uint8), training.rng)[..., :16, :16]
    for _ in range(30):
        training.step(train_vae.loss_of(vae, pixels))
    assert np.isfinite(training.losses).all()
    assert training.losses[-1] < training.losses[0]


def test_the_painter_learns_a_batch_by_heart(options, painter):
    training = Training(painter, replace(options, steps=30))
    latents, words = torch.randn(4, 4, 8, 8), train_diffusion.token_ids(["a red star"] * 4)
    for _ in range(30):
        torch.manual_seed(1)  # the same noise and times
        training.step(train_diffusion.loss_of(painter, latents, words))
    assert np.isfinite(training.losses).all()
    assert training.losses[-1] < 0.9 * training.losses[0]
    assert painter.text_encoder.get_input_embeddings().weight.grad.abs().sum() > 0


def test_a_row_is_the_latent_of_a_picture(tmp_path, vae):
    vae.save_pretrained(tmp_path)
    row = train_diffusion.make_row(3, tmp_path, 32)
    assert row["latent"].shape == (4, 8, 8)
    assert row["words"].shape == (77,)


def test_what_is_written_is_a_pipeline_and_can_be_trained_on(options, vae, painter):
    train_diffusion.save(painter, vae, options.out)
    pipeline = StableDiffusionPipeline.from_pretrained(options.out)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline("a red star", num_inference_steps=1, height=32, width=32).images[0].size == (32, 32)
    again = train_diffusion.make_painter(replace(options, resume=True))
    for name, weight in again.state_dict().items():
        torch.testing.assert_close(weight, painter.state_dict()[name].half().to(weight.dtype), msg=name)


def test_the_networks_of_the_demo_fit_each_other():
    unet, words = train_diffusion.make_unet(), train_diffusion.make_text_encoder()
    assert sum(weight.numel() for weight in unet.parameters()) < 9e6
    states = words(train_diffusion.token_ids(["a red star"]))[0]
    assert unet(torch.randn(1, 4, 16, 16), 5, states).sample.shape == (1, 4, 16, 16)
    assert train_vae.make_vae().encode(torch.zeros(1, 3, 64, 64)).latent_dist.mean.shape == (1, 4, 16, 16)

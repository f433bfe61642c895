"""The trainings of the demo's models, with tiny networks and a few steps."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel

import train_diffusion
import train_text
import train_vae
from scenery import close_up, picture
from things import COLOURS, SAME, SHAPES
from training import Losses, Options, Training, draw_curve, schedule
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


def line(options: Options) -> tuple[Training, Callable[[], Losses]]:
    """The training of two weights, and its losses."""
    torch.manual_seed(0)
    training = Training(torch.nn.Linear(1, 1), options)
    x = torch.linspace(-1, 1, 9)[:, None]
    return training, lambda: {"gap": (training.model(x) - 2 * x - 1).square().mean()}


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
    assert second.losses["gap"] == pytest.approx(whole.losses["gap"], rel=1e-6)
    assert [*second.average.parameters()] == [*whole.average.parameters()]
    assert {path.name for path in options.aside.iterdir()} == {"linear.pt", "linear.png"}


def test_a_batch_that_breaks_is_left_out(options):
    training, loss = line(options)
    before = [weight.clone() for weight in training.model.parameters()]
    training.step({"gap": loss()["gap"] * torch.inf})
    assert [*training.model.parameters()] == before
    training.step(loss())
    assert [*training.model.parameters()] != before


def test_time_may_be_the_length(options):
    training, loss = line(replace(options, steps=None, minutes=0.001))
    training.run(loss, lambda model: None)
    assert training.seconds >= 0.06


@pytest.mark.parametrize("losses", [[1.0], [2.0, 1.0], [1.0] * 5000])
def test_the_curve_is_a_picture(tmp_path, losses):
    draw_curve({"words": losses, "sides": losses[::-1]}, tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as image:
        assert image.size == (800, 400)


# ---- what is learnt ----------------------------------------------------------------------------------------------


def test_a_close_up_shows_what_it_names():
    for seed in range(5):
        scene, caption = close_up(seed, 32, (0.3, 0.7))
        assert scene.frame(0).shape == (32, 32, 3)
        assert any(thing.name in caption for thing in scene.things)


def test_a_picture_comes_with_where_its_objects_are():
    shown = [picture(seed, 64) for seed in range(20)]
    assert all(each.things.any() and not each.things.all() for each in shown)
    assert 0.05 < np.mean([each.things.mean() for each in shown]) < 0.4


def test_a_near_picture_is_full_of_its_object():
    assert 0.2 < np.mean([picture(seed, 64, near=True).things.mean() for seed in range(20)]) < 0.5


def test_the_vae_learns_a_batch_by_heart(options, vae):
    training = Training(vae, replace(options, steps=30))
    pixels = train_vae.crops(torch.randint(0, 256, (2, 3, 128, 128), dtype=torch.uint8), 16, training.rng)
    assert pixels.shape == (2, 3, 16, 16)
    for _ in range(30):
        training.step(train_vae.losses_of(vae, pixels))
    assert all(np.isfinite(values).all() for values in training.losses.values())
    assert training.losses["pixels"][-1] < training.losses["pixels"][0]


def test_the_painter_learns_a_batch_by_heart(options, painter):
    training = Training(painter, replace(options, steps=30))
    read = deepcopy(painter.text_encoder.state_dict())
    latents, words = torch.randn(4, 4, 8, 8), train_text.token_ids(["a red star"] * 4)
    things = torch.ones(4, 1, 8, 8)
    for _ in range(30):
        torch.manual_seed(1)  # the same noise and times
        training.step(train_diffusion.losses_of(painter, latents, things, words))
    assert np.isfinite(training.losses["velocity"]).all()
    assert training.losses["velocity"][-1] < 0.9 * training.losses["velocity"][0]
    assert all(torch.equal(weight, read[name]) for name, weight in painter.text_encoder.state_dict().items())


def test_an_error_counts_more_where_an_object_is(painter):
    latents, words = torch.zeros(1, 4, 8, 8), train_text.token_ids(["a red star"])
    left = torch.zeros(1, 1, 8, 8)
    left[..., :4] = 1

    def loss(things):
        torch.manual_seed(1)
        return train_diffusion.losses_of(painter, latents, things, words)["velocity"].item()

    even = loss(torch.ones_like(left))
    assert loss(torch.zeros_like(left)) == pytest.approx(even, rel=1e-6)
    # The halves weigh 4 : 1 and 1 : 4, so both together are twice what they are alike.
    assert loss(left) + loss(1 - left) == pytest.approx(2 * even, rel=1e-5)
    assert loss(left) != pytest.approx(even, rel=1e-3)


def test_what_is_known_after_each_word():
    facts = train_text.FACTS
    for seed in range(200):
        saying = train_text.say(np.random.default_rng(seed))
        words, known = [word for word, _ in saying], [facts_then for _, facts_then in saying]
        assert all(fact in facts for each in known for fact in each)
        assert all({fact for fact in a if fact not in train_text.LOOKS} <= b for a, b in pairwise(known))
        shapes = [SAME.get(word, word) for word in words if SAME.get(word, word) in SHAPES]
        assert shapes == [look for i in range(3) for look in SHAPES if (i, look) in known[-1]]
        assert [word for word in words if word in COLOURS] == [
            look for i in range(3) for look in COLOURS if (i, look) in known[-1]
        ]


def test_the_reader_learns_what_is_said(options):
    training = Training(train_text.Reader(train_text.make_text_encoder()), replace(options, steps=12, rate=2e-3))
    words, facts = train_text.draw(training.rng, 4)
    assert words.shape == (4, 77) and facts.shape == (4, 77, len(train_text.FACTS))
    assert not facts[:, 0].any() and facts[:, -1].any(1).all()
    for _ in range(12):
        training.step(train_text.losses_of(training.model, words, facts))
    assert training.losses["facts"][-1] < 0.7 * training.losses["facts"][0]
    train_text.save(training.model, options.out)
    assert {path.name for path in options.out.iterdir()} == {"text_encoder", "tokenizer"}
    CLIPTextModel.from_pretrained(options.out / "text_encoder")


def test_a_row_is_the_latent_of_a_picture(tmp_path, vae):
    vae.save_pretrained(tmp_path)
    row = train_diffusion.make_row(3, tmp_path, 32)
    assert row["latent"].shape == (4, 8, 8)
    assert row["things"].shape == (1, 8, 8)
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
    unet, words = train_diffusion.make_unet(), train_text.make_text_encoder()
    assert sum(weight.numel() for weight in unet.parameters()) < 9e6
    states = words(train_text.token_ids(["a red star"]))[0]
    assert unet(torch.randn(1, 4, 16, 16), 5, states).sample.shape == (1, 4, 16, 16)
    assert train_vae.make_vae().encode(torch.zeros(1, 3, 64, 64)).latent_dist.mean.shape == (1, 4, 16, 16)

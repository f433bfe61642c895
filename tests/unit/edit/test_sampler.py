"""DDIM there and back, on networks whose answer is known."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from clevam import sampler
from clevam.attention import Context, Options
from clevam.errors import UserError
from clevam.sampler import Constraint, Schedule, blend_mask, low
from conftest import box_labels, context, random

BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
ALPHAS = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)  # Stable Diffusion's
INSIDE = box_labels(8, 10, (slice(2, 5), slice(3, 7)))
EVERYTHING = torch.ones(8, 10, dtype=torch.int64)


class Net:
    """A network that answers `predict(z, t)`; it has no attention."""

    attn_processors = {}

    def __init__(self, predict):
        self.predict = predict

    def set_attn_processor(self, processors):
        pass

    def __call__(self, z, t, encoder_hidden_states, added_cond_kwargs=None):
        return SimpleNamespace(sample=self.predict(z, t))


def schedule(steps: int = 4, **settings) -> Schedule:
    return Schedule.of(DDIMScheduler(**BETAS | {"steps_offset": 1, "set_alpha_to_one": False} | settings), steps)


def latent(seed: int = 0) -> torch.Tensor:
    return random(1, 4, 8, 10, seed=seed).double()


def knows(clean: torch.Tensor, plan: Schedule) -> Net:
    """The network that always sees `clean` behind the noise, in the schedule's way of saying it."""
    level = dict(zip(plan.timesteps, plan.levels, strict=False))

    def predict(z, t):
        a = level[t]
        noise = (z - a**0.5 * clean) / (1 - a) ** 0.5
        return noise if plan.prediction == "epsilon" else a**0.5 * noise - (1 - a) ** 0.5 * clean

    return Net(predict)


# ---- schedule -----------------------------------------------------------------------------------------------------


def test_schedule_takes_offset_and_last_level_from_the_checkpoint():
    plan = schedule(steps_offset=1, set_alpha_to_one=False)
    assert plan.timesteps == [751, 501, 251, 1]
    assert plan.levels == pytest.approx([ALPHAS[t] for t in (751, 501, 251, 1, 0)], rel=1e-5)


def test_schedule_without_offset_ends_at_the_clean_picture():
    plan = schedule(steps_offset=0, set_alpha_to_one=True)
    assert plan.timesteps == [750, 500, 250, 0]
    assert plan.levels == pytest.approx([*(ALPHAS[t] for t in (750, 500, 250, 0)), 1], rel=1e-5)


@pytest.mark.parametrize("steps", [1, 20, 999])
def test_schedule_has_one_level_more_than_steps_and_clears_up(steps):
    plan = schedule(steps)
    assert (len(plan.timesteps), len(plan.levels)) == (steps, steps + 1)
    assert plan.levels == sorted(set(plan.levels))


def test_schedule_refuses_a_network_that_predicts_something_else():
    with pytest.raises(UserError, match=r"models\.diffusion: .*prediction_type `sample`.*epsilon or v_prediction"):
        schedule(prediction_type="sample")


@pytest.mark.parametrize(("start", "end"), [(0, 1), (1, 3), (0, 4)])
def test_move_there_and_back_along_the_same_noise_is_no_move(start, end):
    plan, z, noise = schedule(), latent(0), latent(1)
    there = plan.move(z, noise, start, end)
    torch.testing.assert_close(plan.move(there, noise, end, start), z, atol=1e-10, rtol=0)
    assert not torch.isclose(there, z).any()


def test_move_keeps_the_clean_picture_and_takes_the_noise_of_the_level():
    plan, clean, noise = schedule(), latent(0), latent(1)
    at = [a**0.5 * clean + (1 - a) ** 0.5 * noise for a in plan.levels]
    torch.testing.assert_close(plan.move(at[0], noise, 0, 3), at[3], atol=1e-10, rtol=0)


def test_move_is_the_step_of_diffusers():
    scheduler = DDIMScheduler(**BETAS, steps_offset=1, set_alpha_to_one=False, clip_sample=False)
    plan, z, noise = Schedule.of(scheduler, 4), latent(0), latent(1)
    for i, t in enumerate(plan.timesteps):
        expected = scheduler.step(noise, t, z).prev_sample
        torch.testing.assert_close(plan.move(z, noise, i, i + 1), expected, atol=1e-5, rtol=0)


def test_an_inverted_region_forgets_its_mean_and_spread_and_nothing_else():
    z, labels = 3 * latent(0)[0] + 2, torch.zeros(8, 10, dtype=torch.int64)
    labels[:4], labels[6, :2] = 1, 2  # the second is too small to have a spread
    found = sampler.standardized(z, labels)
    torch.testing.assert_close(found[:, labels != 1], z[:, labels != 1], atol=0, rtol=0)
    inside, before = found[:, labels == 1], z[:, labels == 1]
    torch.testing.assert_close(inside.mean(1), torch.zeros(4).to(z), atol=1e-6, rtol=0)
    torch.testing.assert_close(inside.std(1), torch.ones(4).to(z))
    assert torch.equal(inside.argsort(1), before.argsort(1))
    again = sampler.standardized(5 * z - 1, labels)
    torch.testing.assert_close(again[:, labels == 1], inside, atol=1e-5, rtol=0)


def test_a_region_of_one_colour_stays_finite():
    assert sampler.standardized(torch.ones(4, 4, 4), torch.ones(4, 4, dtype=torch.int64)).isfinite().all()


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_noise_is_the_same_in_whichever_way_the_network_says_it(prediction):
    plan, z, clean = schedule(prediction_type=prediction), latent(0), latent(1)
    output = knows(clean, plan)(z, plan.timesteps[2], None).sample
    a = plan.levels[2]
    torch.testing.assert_close(plan.noise(output, z, 2), (z - a**0.5 * clean) / (1 - a) ** 0.5)


# ---- inversion and edit -------------------------------------------------------------------------------------------


def edited(net, plan, start, source, labels, guidance=1.0, **options):
    about = context(labels)
    about.texts = [text.to(start.dtype) for text in about.texts]  # the network's precision is that of its words
    return sampler.edit(net, plan, start, source, [about], guidance, **options)


def test_invert_ends_with_the_clean_latent_and_has_a_latent_for_every_level():
    path = sampler.invert(Net(lambda z, t: z), schedule(), latent(), [context(EVERYTHING, batch=1)])
    assert len(path) == 5
    assert torch.equal(path[4], latent())


def test_the_network_works_in_the_precision_of_its_words_and_the_moves_in_that_of_the_latents():
    seen = []
    net = Net(lambda z, t: seen.append(z.dtype) or torch.zeros_like(z))
    about = context(EVERYTHING, batch=1)
    about.texts = [text.half() for text in about.texts]
    path = sampler.invert(net, schedule(), latent().float(), [about])
    assert (set(seen), {z.dtype for z in path}) == ({torch.float16}, {torch.float32})


def test_invert_asks_at_the_noisier_level_of_every_move():
    asked = []
    net = Net(lambda z, t: asked.append(t) or torch.zeros_like(z))
    sampler.invert(net, schedule(), latent(), [context(EVERYTHING, batch=1)])
    assert asked == [1, 251, 501, 751]


@pytest.mark.parametrize("steps", [1, 5, 50])
def test_edit_after_invert_gives_the_picture_back_where_the_noise_is_constant(steps):
    """Exact but for the rounding of fp64, which the noisiest level divides by 0.07."""
    noise, plan = latent(1), schedule(steps)
    net = Net(lambda z, t: noise.expand_as(z))
    path = sampler.invert(net, plan, latent(), [context(EVERYTHING, batch=1)])
    found = edited(net, plan, path[0], path, EVERYTHING)
    torch.testing.assert_close(found, latent(), atol=1e-9, rtol=0)


def test_edit_leaves_the_clean_latent_beyond_one_pixel_around_the_mask():
    net = Net(lambda z, t: torch.tanh(z))
    path = sampler.invert(net, schedule(), latent(), [context(INSIDE, batch=1)])
    found = edited(net, schedule(), latent(5), path, INSIDE)
    same = (found == latent()).all(1)[0]
    assert torch.equal(same, box_labels(8, 10, (slice(1, 6), slice(2, 8))) == 0)


def test_edit_sees_the_source_around_the_mask_at_the_level_it_has_reached():
    plan, seen = schedule(), []
    path = [torch.full((1, 4, 8, 10), float(i)) for i in range(5)]
    net = Net(lambda z, t: seen.append(z[0, 0, 7, 9].item()) or z)
    edited(net, plan, path[0], path, INSIDE)
    assert seen == [0, 1, 2, 3]


def test_edit_finds_the_picture_that_the_network_knows_in_either_parametrisation():
    target, path = latent(3), [torch.zeros(1, 4, 8, 10).double()] * 5
    plans = [schedule(prediction_type=p, set_alpha_to_one=True) for p in ("epsilon", "v_prediction")]
    for found in (edited(knows(target, plan), plan, latent(1), path, EVERYTHING) for plan in plans):
        torch.testing.assert_close(found, target, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("guidance", "noise"), [(1, 3.0), (0, 1.0), (4.5, 10.0)])
def test_edit_guides_from_the_first_half_to_the_second(guidance, noise):
    plan, z = schedule(1), latent()
    net = Net(lambda z, t: torch.cat([torch.full_like(z[:1], 1.0), torch.full_like(z[1:], 3.0)]))
    found = edited(net, plan, z, [latent(1), latent(2)], EVERYTHING, guidance)
    torch.testing.assert_close(found, plan.move(z, torch.full_like(z, noise), 0, 1))


def test_edit_reads_and_writes_each_step_once_and_in_order(unet):
    plan, written, asked = schedule(3), [], []
    path = [random(1, 4, 8, 10)] * 4
    edited(unet, plan, path[0], path, INSIDE, write=lambda step, cache: written.append((step, cache)))
    shared = sampler.Shared(lambda step: asked.append(step) or written[step][1])
    edited(unet, plan, path[0], path, INSIDE, shared=shared)
    assert [step for step, _ in written] == asked == [0, 1, 2]
    assert not torch.equal(*(next(iter(cache.values())) for _, cache in written[:2]))


@pytest.mark.parametrize("how", ["kept", "made again"])
def test_edit_against_its_own_attention_is_the_same_edit(unet, how):
    """In fp64: a random network multiplies the rounding of fp32, 1e-6, to 1e-3 in three guided steps."""
    net, plan, written = copy.deepcopy(unet).double(), schedule(3), {}
    texts = [random(2, 5, 12, seed=r).double() for r in range(2)]
    path = sampler.invert(net, plan, latent(), [Context(INSIDE, [text[1:] for text in texts])])
    first = sampler.edit(net, plan, path[0], path, [Context(INSIDE, texts)], 4.5, write=written.__setitem__)
    shared = {
        "kept": sampler.Shared(written.__getitem__),
        "made again": sampler.Shared(written.__getitem__, Context(INSIDE, texts)),
    }[how]
    again = sampler.edit(net, plan, path[0], path, [Context(INSIDE, texts)], 4.5, shared=shared)
    torch.testing.assert_close(again, first, atol=1e-8, rtol=0)


def test_steps_outside_of_the_window_neither_keep_nor_ask(unet):
    plan, written, asked = schedule(4), {}, []
    path = [random(1, 4, 8, 10)] * 5
    about = context(INSIDE, shared=(0.25, 0.75))
    sampler.edit(unet, plan, path[0], path, [about], 4.5, write=written.__setitem__)
    shared = sampler.Shared(lambda step: asked.append(step) or written[step])
    sampler.edit(unet, plan, path[0], path, [about], 4.5, shared=shared)
    assert [*written] == asked == [1, 2]


def test_edit_pastes_the_source_a_step_late_as_in_the_authors_code():
    plan, seen = schedule(), []
    path = [torch.full((1, 4, 8, 10), float(i)) for i in range(5)]
    net = Net(lambda z, t: seen.append(z[0, 0, 7, 9].item()) or z)
    found = edited(net, plan, path[0], path, INSIDE, constraint=Constraint(level="official"))
    assert seen == [0, 0, 1, 2]
    assert found[0, 0, 7, 9] == 4


# ---- starts and constraints ---------------------------------------------------------------------------------------


def test_steps_are_gone_again_in_stretches():
    assert schedule(3).moves() == [(0, 1), (1, 2), (2, 3)]
    assert schedule(4).moves(first=2) == [(2, 3), (3, 4)]
    twice = [(0, 1), (1, 2), (2, 0), (0, 1), (1, 2)]
    assert schedule(3).moves(jump=2, times=2) == [*twice, (2, 3), (3, 2), (2, 3)]


def test_a_latent_under_noise_has_the_noise_of_every_level():
    plan, clean, noise = schedule(), latent(0), latent(1)
    path = plan.noised(clean, noise)
    assert torch.equal(path[-1], clean)
    torch.testing.assert_close(plan.move(path[1], noise, 1, 3), path[3])


def test_more_noise_makes_a_noisier_level_of_the_same_picture():
    plan, clean, noise = schedule(), torch.full((1, 4, 200, 200), 2.0), [random(1, 4, 200, 200, seed=s) for s in (0, 1)]
    path = plan.noised(clean, noise[0])
    found = plan.noised_more(path[2], noise[1], 2, 0)
    assert found.mean() == pytest.approx(path[0].mean().item(), abs=0.01)
    assert found.std() == pytest.approx(path[0].std().item(), abs=0.01)


def test_edit_that_starts_further_down_asks_for_the_rest_of_the_steps():
    plan, asked = schedule(), []
    net = Net(lambda z, t: asked.append(t) or torch.zeros_like(z))
    found = edited(net, plan, latent(), [latent()] * 5, EVERYTHING, first=2)
    assert asked == plan.timesteps[2:]
    torch.testing.assert_close(found, plan.move(latent(), torch.zeros_like(latent()), 2, 4))


def test_edit_without_a_constraint_repaints_everything():
    plan, path = schedule(), [latent(i) for i in range(5)]
    found = edited(knows(latent(9), plan), plan, latent(7), path, INSIDE, constraint=Constraint("none"))
    torch.testing.assert_close(found, plan.levels[-1] ** 0.5 * latent(9) + (found - latent(9)) * 0, atol=0.2, rtol=0)
    assert not torch.isclose(found, path[-1]).any()


def test_ilvr_has_the_sources_low_frequencies_and_its_own_high_ones():
    z, source = random(1, 4, 16, 24), random(1, 4, 16, 24, seed=1)
    constraint = Constraint("ilvr", factor=4, window=(0, 0.5))
    found = constraint(z, [z, z, source, z, z], torch.zeros(1, 1, 16, 24), 1)  # from level 1 to 2
    assert (low(found, 4) - low(source, 4)).abs().mean() < 0.4 * (low(z, 4) - low(source, 4)).abs().mean()
    torch.testing.assert_close(found - low(source, 4), z - low(z, 4))
    assert torch.equal(constraint(z, [source] * 5, torch.zeros(1, 1, 16, 24), 2), z)  # the window is over


def test_low_frequencies_of_a_flat_picture_are_the_picture():
    flat = torch.full((1, 4, 9, 14), 3.0)
    torch.testing.assert_close(low(flat, 4), flat)


def test_repaint_goes_back_with_new_noise_and_counts_its_steps(unet):
    plan, written, asked = schedule(2), [], []
    path = [random(1, 4, 8, 10)] * 3
    options = {"constraint": Constraint("repaint", jump=1, times=2)}
    options["noise"] = lambda number: asked.append(number) or random(1, 4, 8, 10, seed=number)
    edited(unet, plan, path[0], path, INSIDE, write=lambda step, _: written.append(step), **options)
    assert written == [0, 1, 2, 3]
    assert asked == [1, 3]


def test_edit_takes_the_queries_and_keys_of_the_source(unet):
    """Where words and latents are those of the source, what is taken is what is there; otherwise it shows."""
    plan, z = schedule(1), random(1, 4, 8, 10)
    texts = [random(2, 5, 12, seed=r) for r in range(2)]
    same = [text[:1].repeat(2, 1, 1) for text in texts]
    options = Options(inject="both", injecting=("all",))

    def found(words, injected, start=z):
        own = [Context(INSIDE, [text[:1] for text in texts], options)] if injected else None
        about = [Context(INSIDE, words, options)]
        return sampler.edit(unet, plan, start, [z, z], about, 4.5, own=own)

    torch.testing.assert_close(found(same, True), found(same, False), atol=2e-5, rtol=0)
    assert (found(texts, True) - found(texts, False)).abs().max() > 1e-3
    other = random(1, 4, 8, 10, seed=1)
    assert (found(same, True, other) - found(same, False, other)).abs().max() > 1e-3


def test_nothing_is_taken_outside_of_the_window(unet):
    plan, path = schedule(2), [random(1, 4, 8, 10, seed=s) for s in range(3)]
    texts = [random(2, 5, 12, seed=r) for r in range(2)]

    def found(injected):
        options = Options(inject="both", injected=(0.5, 1) if injected else (0.9, 1))
        own = [Context(INSIDE, [text[:1] for text in texts], options)]
        return sampler.edit(unet, plan, path[0], path, [Context(INSIDE, texts, options)], 1.0, own=own)

    assert not torch.equal(found(True), found(False))
    plain = sampler.edit(unet, plan, path[0], path, [Context(INSIDE, texts)], 1.0)
    assert torch.equal(found(False), plain)


def test_blend_mask_has_one_pixel_more_in_every_direction():
    found = blend_mask(box_labels(4, 6, (slice(0, 1), slice(0, 1)), (slice(2, 3), slice(4, 5))))
    assert found[0, 0].tolist() == [[1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]]

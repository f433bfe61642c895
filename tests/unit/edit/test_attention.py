"""Region attention and the shared reference, against plain formulas and against diffusers' own processors."""

import copy
from math import sqrt

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from clevam.attention import Context, Options, Processor, installed, layer_labels, renormalise, share, spread
from clevam.errors import UserError
from conftest import box_labels, context, random

UP = "up_blocks.1.attentions.0.transformer_blocks.0.attn1"
DOWN = "down_blocks.1.attentions.0.transformer_blocks.0.attn1"
WORDS = "up_blocks.1.attentions.0.transformer_blocks.0.attn2"
TWO = box_labels(6, 5, (slice(0, 3), slice(0, 3)), (slice(4, 6), slice(1, 5)))  # two regions on 6 x 5 tokens
ONE = (TWO > 0).long()
EVERYTHING = torch.ones(6, 5, dtype=torch.int64)


@pytest.fixture(scope="module")
def precise(unet) -> UNet2DConditionModel:
    """In fp64: a random network multiplies the rounding of fp32."""
    return copy.deepcopy(unet).double()


@pytest.fixture(scope="module")
def to_itself() -> Attention:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Attention(query_dim=8, heads=2, dim_head=4).requires_grad_(False)


@pytest.fixture(scope="module")
def to_words() -> Attention:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return Attention(query_dim=8, cross_attention_dim=12, heads=2, dim_head=4).requires_grad_(False)


def dense(attn: Attention, hidden: torch.Tensor, words: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Attention of all tokens to all words in fp64, where bool [N, T] `allowed` says so."""
    attn = copy.deepcopy(attn).double()
    q, k, v = (
        layer(x.double()).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        for layer, x in ((attn.to_q, hidden), (attn.to_k, words), (attn.to_v, words))
    )
    logits = (q @ k.transpose(-1, -2) / sqrt(q.shape[-1])).masked_fill(~allowed, -torch.inf)
    return attn.to_out[0]((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))


def at(layer: str, *contexts: Context) -> Processor:
    """A layer of 6 x 5 tokens."""
    processor = Processor(layer, list(contexts))
    processor.size = (6, 5)
    return processor


def captured(attn: Attention, hidden: torch.Tensor, labels: torch.Tensor = ONE, layer: str = UP, **options) -> dict:
    """What a layer writes into the cache when it sees `hidden`."""
    cache = {}
    at(layer, context(labels, write=cache, **options))(attn, hidden)
    return cache


def run(unet, labels: torch.Tensor, seed: int = 0, **options) -> torch.Tensor:
    """One call of the network with region attention, on a random pair of latents of the labels' size."""
    told = context(labels, **options)
    told.texts = [text.to(unet.dtype) for text in told.texts]
    with installed(unet, [told]):
        z = random(2, 4, *labels.shape, seed=seed).to(unet.dtype)
        return unet(z, 500, encoder_hidden_states=told.texts[0]).sample


# ---- labels at the network's levels -------------------------------------------------------------------------------


def test_layer_labels_take_the_majority_of_each_cell():
    labels = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 1], [2, 2, 2, 0], [2, 1, 2, 2]])
    assert layer_labels(labels, (2, 2), 3).tolist() == [[1, 0], [2, 2]]


def test_layer_labels_count_a_half_covered_cell_as_inside():
    assert layer_labels(torch.tensor([[1, 0, 0, 0], [1, 0, 0, 0]]), (1, 2), 2).tolist() == [[1, 0]]


def test_layer_labels_keep_a_tiny_object_in_its_strongest_cell():
    labels = box_labels(8, 8, (slice(3, 6), slice(3, 4)))  # one pixel in the upper left cell, two in the lower left
    assert layer_labels(labels, (2, 2), 2).tolist() == [[0, 0], [1, 0]]


def test_layer_labels_of_a_tiny_object_do_not_take_the_only_cell_of_another():
    labels = box_labels(4, 8, (slice(0, 4), slice(0, 4)), (slice(0, 2), slice(3, 5)))  # 2 lies half on 1, half outside
    assert layer_labels(labels, (1, 2), 3).tolist() == [[1, 2]]


def test_layer_labels_of_an_empty_mask_are_outside_everywhere():
    assert layer_labels(torch.zeros(5, 9, dtype=torch.int64), (3, 5), 3).tolist() == [[0] * 5] * 3


# ---- regions ------------------------------------------------------------------------------------------------------


def test_regions_equal_one_attention_with_a_dense_mask(to_itself):
    hidden, flat = random(2, 30, 8), TWO.flatten()
    found = at(UP, context(TWO))(to_itself, hidden)
    expected = dense(to_itself, hidden, hidden, flat[:, None] == flat[None])
    torch.testing.assert_close(found.double(), expected, atol=2e-5, rtol=0)


def test_outside_does_not_hear_of_a_change_inside(to_itself):
    outside, hidden = TWO.flatten() == 0, random(2, 30, 8)
    changed = torch.where(outside[:, None], hidden, 5 * hidden + 1)
    before, after = (at(UP, context(TWO))(to_itself, x) for x in (hidden, changed))
    assert torch.equal(before[:, outside], after[:, outside])
    assert not torch.isclose(before[:, ~outside], after[:, ~outside]).any()


def test_one_region_everywhere_is_plain_attention(to_itself):
    hidden = random(2, 30, 8)
    found = at(UP, context(EVERYTHING))(to_itself, hidden)
    torch.testing.assert_close(found, AttnProcessor2_0()(to_itself, hidden), atol=2e-5, rtol=0)


def test_each_region_reads_its_own_words(to_words):
    hidden, told = random(2, 30, 8), context(TWO)
    found = at(WORDS, told)(to_words, hidden, told.texts[0])
    for r, text in enumerate(told.texts):
        expected = dense(to_words, hidden, text, torch.ones(30, 5, dtype=torch.bool))
        here = TWO.flatten() == r
        torch.testing.assert_close(found[:, here].double(), expected[:, here], atol=2e-5, rtol=0)


def test_other_words_for_a_region_change_only_that_region(to_words):
    hidden, told = random(2, 30, 8), context(TWO)
    other = Context(TWO, [*told.texts[:2], random(2, 5, 12, seed=7)])
    before, after = (at(WORDS, c)(to_words, hidden, told.texts[0]) for c in (told, other))
    changed = (before != after).any(-1)
    assert torch.equal(changed, (TWO.flatten() == 2).expand(2, -1))


def test_whole_words_are_the_regions_and_not_the_outsides(to_words):
    hidden, told = random(2, 30, 8), context(ONE, words="whole")
    found = at(WORDS, told)(to_words, hidden, told.texts[0])
    torch.testing.assert_close(found, AttnProcessor2_0()(to_words, hidden, told.texts[1]), atol=2e-5, rtol=0)


@pytest.mark.parametrize("options", [{}, {"isolation": "none", "words": "whole"}])
def test_unet_without_regions_or_with_one_everywhere_is_the_stock_unet(unet, options):
    labels = torch.ones(16, 16, dtype=torch.int64)
    expected = unet(random(2, 4, 16, 16), 500, encoder_hidden_states=context(labels).texts[1]).sample
    torch.testing.assert_close(run(unet, labels, **options), expected, atol=1e-5, rtol=0)


def test_unet_with_regions_is_another(unet):
    labels = box_labels(16, 16, (slice(4, 12), slice(4, 12)))
    assert (run(unet, labels) - run(unet, torch.ones_like(labels))).abs().max() > 1e-2


@pytest.mark.parametrize("size", [(16, 24), (9, 16), (10, 13), (7, 7)])
def test_unet_takes_latents_of_any_shape(unet, size):
    everywhere = torch.ones(size, dtype=torch.int64)
    expected = unet(random(2, 4, *size), 500, encoder_hidden_states=context(everywhere).texts[1]).sample
    torch.testing.assert_close(run(unet, everywhere), expected, atol=1e-5, rtol=0)
    labels = box_labels(*size, (slice(2, 5), slice(1, 6)))
    assert run(unet, labels, read=captured_step(unet, labels)).shape == (2, 4, *size)


def captured_step(unet, labels: torch.Tensor, **options) -> dict:
    """The cache of one call of the whole network."""
    cache = {}
    run(unet, labels, write=cache, **options)
    return cache


@pytest.mark.parametrize("own", ["empty", "full", "pixel"])
@pytest.mark.parametrize("reference", ["empty", "full", "pixel"])
def test_unet_is_finite_for_the_smallest_and_the_largest_masks(unet, own, reference):
    empty = torch.zeros(8, 12, dtype=torch.int64)
    masks = {"empty": empty, "full": empty + 1, "pixel": box_labels(8, 12, (slice(7, 8), slice(0, 1)))}
    texts = [random(2, 5, 12, seed=r) for r in range(2)]
    cache = {}
    for labels, role in ((masks[reference], {"write": cache}), (masks[own], {"read": [cache]})):
        with installed(unet, [Context(labels, texts, **role)]):
            assert unet(random(2, 4, 8, 12), 500, encoder_hidden_states=texts[0]).sample.isfinite().all()


@pytest.mark.parametrize("isolation", ["both", "outside_only", "none"])
def test_official_attention_drops_the_looks_at_others_after_the_softmax(to_itself, isolation):
    """Shape-guided Diffusion, equation 4, in fp64."""
    hidden, flat = random(2, 30, 8), TWO.flatten()
    found = at(UP, context(TWO, isolation=isolation, pixels="official"))(to_itself, hidden)
    attn = copy.deepcopy(to_itself).double()
    q, k, v = (
        layer(hidden.double()).unflatten(-1, (2, -1)).transpose(1, 2) for layer in (attn.to_q, attn.to_k, attn.to_v)
    )
    expected = ((q @ k.transpose(-1, -2) / 2).softmax(-1) * seen(flat, isolation)) @ v
    expected = attn.to_out[0](expected.transpose(1, 2).flatten(2))
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("isolation", ["both", "outside_only", "none"])
def test_isolation_says_who_is_looked_at(to_itself, isolation):
    hidden, flat = random(2, 30, 8), TWO.flatten()
    found = at(UP, context(TWO, isolation=isolation))(to_itself, hidden)
    torch.testing.assert_close(
        found.double(), dense(to_itself, hidden, hidden, seen(flat, isolation)), atol=2e-5, rtol=0
    )


def seen(flat: torch.Tensor, isolation: str) -> torch.Tensor:
    """bool [N, N]: whose looks reach whom."""
    same, outside = flat[:, None] == flat[None], (flat == 0)[None].expand(len(flat), -1)
    return {"both": same, "outside_only": same | outside, "none": torch.ones_like(same)}[isolation]


def test_isolation_holds_during_its_window(to_itself):
    hidden = random(2, 30, 8)
    early, late, never = (
        at(UP, context(TWO, progress=progress, isolated=window))(to_itself, hidden)
        for progress, window in ((0.2, (0, 0.5)), (0.5, (0, 0.5)), (0.5, (0.9, 1)))
    )
    torch.testing.assert_close(early, at(UP, context(TWO))(to_itself, hidden))
    torch.testing.assert_close(late, at(UP, context(TWO, isolation="none"))(to_itself, hidden))
    assert torch.equal(late, never)


def test_weighted_words_say_as_much_as_they_weigh(to_words):
    hidden, told = random(2, 30, 8), context(ONE)
    told.weights = [torch.tensor([0.0, 2.5, 1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 0.0, 1.0, 2.5])]
    found = at(WORDS, told)(to_words, hidden)
    attn = copy.deepcopy(to_words).double()
    for r, text in enumerate(told.texts):
        q, k, v = (
            layer(x.double()).unflatten(-1, (2, -1)).transpose(1, 2)
            for layer, x in ((attn.to_q, hidden), (attn.to_k, text), (attn.to_v, text))
        )
        expected = ((q @ k.transpose(-1, -2) / 2).softmax(-1) * told.weights[r].double()) @ v
        expected, here = attn.to_out[0](expected.transpose(1, 2).flatten(2)), ONE.flatten() == r
        torch.testing.assert_close(found[:, here].double(), expected[:, here], atol=1e-6, rtol=0)


# ---- the reference ------------------------------------------------------------------------------------------------


def test_capture_changes_nothing(unet):
    labels = box_labels(16, 16, (slice(4, 12), slice(4, 12)))
    assert torch.equal(run(unet, labels, write={}), run(unet, labels))


def test_capture_takes_the_insides_of_the_upper_blocks_and_nothing_else(unet):
    labels = box_labels(16, 16, (slice(0, 8), slice(0, 8)), (slice(8, 16), slice(8, 16)))
    layers = [n.removesuffix(".processor") for n in unet.attn_processors if n.startswith("up") and "attn1" in n]
    expected = {f"{layer}/{r}/{name}" for layer in layers for r in (1, 2) for name in ("k", "v", "q_mean", "q_std")}
    assert len(layers) == 6
    assert captured_step(unet, labels).keys() == expected


def test_capture_of_everything_without_isolation_takes_the_whole_picture(to_itself):
    cache = captured(to_itself, random(2, 30, 8), isolation="none", where="both")
    assert {key: tuple(x.shape) for key, x in cache.items()} == {
        f"{UP}/0/k": (2, 2, 30, 4), f"{UP}/0/v": (2, 2, 30, 4),
        f"{UP}/0/q_mean": (2, 2, 1, 4), f"{UP}/0/q_std": (2, 2, 1, 4),
    }  # fmt: skip


@pytest.mark.parametrize("store", ["kv", "hidden"])
@pytest.mark.parametrize("where", ["inside", "both"])
@pytest.mark.parametrize(
    "looks",
    [
        {},
        {"pixels": "official"},
        {"isolation": "outside_only"},
        {"isolation": "none"},
        {"isolated": (0.5, 1)},
        {"shift": 1.0},
    ],
    ids=str,
)
def test_sharing_with_oneself_changes_nothing(precise, where, store, looks):
    labels = box_labels(16, 16, (slice(2, 11), slice(4, 12)))
    options = {"layers": ("all",), "where": where, "store": store} | looks
    cache = captured_step(precise, labels, **options)
    shared = run(precise, labels, read=cache, **options)
    torch.testing.assert_close(shared, run(precise, labels, **options), atol=1e-8, rtol=0)


@pytest.mark.parametrize("adain", [True, False])
def test_sharing_with_another_changes_the_result(unet, adain):
    labels = box_labels(16, 16, (slice(2, 11), slice(4, 12)))
    cache = captured_step(unet, labels, seed=1)
    assert (run(unet, labels, read=cache, adain=adain) - run(unet, labels)).abs().max() > 1e-3


@pytest.mark.parametrize("options", [{"scale": 0.5}, {"shift": 0.7}, {"balance": False}, {"layers": ("up_blocks.2",)}])
def test_sharing_follows_its_options(unet, options):
    labels = box_labels(16, 16, (slice(2, 11), slice(4, 12)))
    cache = captured_step(unet, box_labels(16, 16, (slice(2, 14), slice(4, 15))), seed=1)
    assert (run(unet, labels, read=cache, **options) - run(unet, labels, read=cache)).abs().max() > 1e-4


@pytest.mark.parametrize("where", ["inside", "both"])
def test_sharing_reaches_the_outside_where_it_is_asked_to(to_itself, where):
    hidden, outside = random(2, 30, 8), ONE.flatten() == 0
    cache = captured(to_itself, random(2, 30, 8, seed=1), where=where)
    plain, shared = (at(UP, context(ONE, where=where, read=read))(to_itself, hidden) for read in (None, cache))
    assert torch.equal(plain[:, outside], shared[:, outside]) == (where == "inside")


def test_keys_and_values_made_again_are_those_that_were_kept(unet):
    labels = box_labels(16, 16, (slice(2, 11), slice(4, 12)))
    found = [
        run(unet, labels, read=captured_step(unet, labels, seed=1, store=store), store=store)
        for store in ("kv", "hidden")
    ]
    torch.testing.assert_close(*found, atol=2e-5, rtol=0)


def test_what_is_hidden_is_half_as_large(unet):
    labels = box_labels(16, 16, (slice(0, 16), slice(0, 16)))
    kv, hidden = (
        sum(x.numel() for x in captured_step(unet, labels, store=store).values()) for store in ("kv", "hidden")
    )
    assert hidden < 0.51 * kv


def test_sharing_renormalises_only_with_adain(to_itself):
    hidden, cache = random(2, 30, 8), captured(to_itself, 2 * random(2, 30, 8, seed=1) + 1)
    found = [at(UP, context(ONE, read=cache, adain=adain))(to_itself, hidden) for adain in (True, False)]
    assert (found[0] - found[1]).abs().max() > 1e-3


def test_sharing_leaves_the_outside_and_the_lower_blocks_alone(to_itself):
    hidden, outside = random(2, 30, 8), ONE.flatten() == 0
    plain = at(UP, context(ONE))(to_itself, hidden)
    cache = captured(to_itself, random(2, 30, 8, seed=1))
    shared = at(UP, context(ONE, read=cache))(to_itself, hidden)
    assert torch.equal((shared == plain).all(-1), outside.expand(2, -1))
    renamed = {key.replace(UP, DOWN): x for key, x in cache.items()}
    assert torch.equal(at(DOWN, context(ONE, read=renamed))(to_itself, hidden), plain)


def test_sharing_gives_each_region_its_own_reference(to_itself):
    hidden, cache = random(2, 30, 8), captured(to_itself, random(2, 30, 8, seed=1), TWO)
    changed = cache | {f"{UP}/2/v": cache[f"{UP}/2/v"] + 1}
    before, after = (at(UP, context(TWO, read=c))(to_itself, hidden) for c in (cache, changed))
    assert torch.equal((before != after).any(-1), (TWO.flatten() == 2).expand(2, -1))


def test_sharing_with_a_reference_that_lacks_the_region_is_plain(to_itself):
    hidden, cache = random(2, 30, 8), captured(to_itself, random(2, 30, 8, seed=1), ONE)
    only_second = {key.replace("/1/", "/2/"): x for key, x in cache.items()}
    found = at(UP, context(ONE, read=only_second))(to_itself, hidden)
    assert torch.equal(found, at(UP, context(ONE))(to_itself, hidden))


def test_sharing_gives_each_half_its_own_reference(to_itself):
    hidden, cache = random(2, 30, 8), captured(to_itself, random(2, 30, 8, seed=1))
    other = captured(to_itself, random(2, 30, 8, seed=2))
    mixed = {key: torch.stack([x[0], other[key][1]]) for key, x in cache.items()}  # only the conditional half differs
    before, after = (at(UP, context(ONE, read=c))(to_itself, hidden) for c in (cache, mixed))
    assert torch.equal(before[0], after[0])
    assert not torch.isclose(before[1], after[1])[ONE.flatten() > 0].all()


@pytest.mark.parametrize("where", ["inside", "outside", "both"])
def test_injected_queries_and_keys_are_the_sources_where_asked(to_itself, where):
    hidden, source, record = random(2, 30, 8), random(1, 30, 8, seed=1), {}
    options = {"isolation": "none", "inject": where}
    at(UP, context(ONE, record=record, batch=1, **options))(to_itself, source)
    assert {key.rpartition("/")[2] for key in record} == {"q", "k"}
    processor = at(UP, context(ONE, taken=record, **options))
    q, k = processor._injected(processor.contexts[0], to_itself.to_q(hidden), to_itself.to_k(hidden))
    inside = ONE.flatten() > 0
    chosen = {"inside": inside, "outside": ~inside, "both": inside | ~inside}[where]
    for found, project in ((q, to_itself.to_q), (k, to_itself.to_k)):
        assert torch.equal(found[:, chosen], project(source)[:, chosen].expand(2, -1, -1))
        assert torch.equal(found[:, ~chosen], project(hidden)[:, ~chosen])


def test_only_the_layers_that_are_named_record(to_itself):
    record = {}
    at("down_blocks.0.attentions.0.transformer_blocks.0.attn1", context(ONE, record=record))(
        to_itself, random(2, 30, 8)
    )
    assert not record


def test_swapping_the_halves_of_the_reference_changes_the_result(unet):
    labels = box_labels(16, 16, (slice(2, 11), slice(4, 12)))
    cache = captured_step(unet, labels)
    swapped = {key: x.flip(0) for key, x in cache.items()}
    assert (run(unet, labels, read=swapped) - run(unet, labels, read=cache)).abs().max() > 1e-3


@pytest.mark.parametrize("adain", [True, False])
def test_share_equals_the_formula_written_out(adain):
    """StyleAligned, section 3.2, with the reference's weights multiplied by n / m; one head of one sample, in fp64."""
    q, k, v = (random(1, 1, 12, 4, seed=s).double() for s in (1, 2, 3))
    q_ref, k_ref, v_ref = (2 * random(1, 1, 9, 4, seed=s).double() + 1 for s in (4, 5, 6))

    def like(x, ref):
        def std(a):
            return (a.var(2, keepdim=True) + 1e-5).sqrt()

        return (x - x.mean(2, keepdim=True)) / std(x) * std(ref) + ref.mean(2, keepdim=True) if adain else x

    weights = [(like(q, q_ref) @ keys.transpose(-1, -2) / 2).exp() for keys in (like(k, k_ref), k_ref)]
    weights[1] = weights[1] * 12 / 9
    expected = (weights[0] @ v + weights[1] @ v_ref) / (weights[0].sum(-1) + weights[1].sum(-1))[..., None]
    nothing = random(1, 1, 0, 4).double()
    reference = [k_ref, v_ref, q_ref.mean(2, keepdim=True), spread(q_ref)]
    found = share(q, k, v, nothing, nothing, [reference], Options(adain=adain))
    torch.testing.assert_close(found, expected)


def test_several_references_are_weighed_one_like_the_other():
    q, k, v = (random(1, 1, 12, 4, seed=s).double() for s in (1, 2, 3))
    each = [[random(1, 1, size, 4, seed=s).double() for s in (10 * size, 10 * size + 1)] for size in (9, 5)]
    weights, values = [(q @ k.transpose(-1, -2) / 2).exp()], [v]
    for k_ref, v_ref in each:
        weights.append((q @ k_ref.transpose(-1, -2) / 2).exp() * 12 / k_ref.shape[2])
        values.append(v_ref)
    said = sum(w @ x for w, x in zip(weights, values, strict=True))
    expected = said / sum(w.sum(-1) for w in weights)[..., None]
    about, nothing = [q.mean(2, keepdim=True), spread(q)], random(1, 1, 0, 4).double()
    found = share(q, k, v, nothing, nothing, [[*one, *about] for one in each], Options(adain=False))
    torch.testing.assert_close(found, expected)


def test_share_weighs_the_reference_the_same_however_many_tokens_it_has():
    q, k, v, k_ref, v_ref = (random(2, 2, 6, 4, seed=s) for s in range(5))
    about, nothing = [q.mean(2, keepdim=True), spread(q)], q[:, :, :0]
    once, thrice = (
        share(
            q,
            k,
            v,
            nothing,
            nothing,
            [[k_ref.repeat(1, 1, n, 1), v_ref.repeat(1, 1, n, 1), *about]],
            Options(adain=False),
        )
        for n in (1, 3)
    )
    torch.testing.assert_close(once, thrice, atol=2e-5, rtol=0)


def test_renormalise_gives_the_wanted_mean_and_spread():
    found = renormalise(random(2, 2, 50, 4), torch.full((2, 2, 1, 4), 3.0), torch.full((2, 2, 1, 4), 0.5))
    torch.testing.assert_close(found.mean(2), torch.full((2, 2, 4), 3.0))
    torch.testing.assert_close(found.std(2), torch.full((2, 2, 4), 0.5), atol=1e-4, rtol=0)


# ---- on and off ---------------------------------------------------------------------------------------------------


def test_installed_puts_the_layers_own_processors_back(unet):
    before = dict(unet.attn_processors)
    with installed(unet, [context(ONE)]):
        assert all(isinstance(p, Processor) for p in unet.attn_processors.values())
    assert unet.attn_processors == before


def test_installed_puts_them_back_after_an_error(unet):
    before = dict(unet.attn_processors)
    with pytest.raises(KeyError), installed(unet, [context(ONE)]):
        raise KeyError
    assert unet.attn_processors == before


def test_installed_refuses_a_network_with_other_layers():
    foreign = UNet2DConditionModel(
        block_out_channels=[8, 8], layers_per_block=1, norm_num_groups=4, attention_head_dim=4, cross_attention_dim=12,
        down_block_types=["DownBlock2D", "AttnDownBlock2D"], up_block_types=["UpBlock2D", "UpBlock2D"],
    )  # fmt: skip
    before = dict(foreign.attn_processors)
    message = r"models\.diffusion: this network is not a Stable Diffusion UNet: .* down_blocks\.1\.attentions\.0"
    with pytest.raises(UserError, match=message), installed(foreign, [context(ONE)]):
        pass
    assert foreign.attn_processors == before

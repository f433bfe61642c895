"""The training scripts of the detector and the segmenter: what they draw, that they learn, and what they leave."""

import shutil
from dataclasses import replace
from functools import partial
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import batches
import train_grounding
import train_segmentation
from clevam.detector import Detector
from clevam.segmenter import Segmenter
from things import SAME
from training import Options, Training
from world import TRAINING_SEEDS, Scene

SCRIPTS = {"grounding": train_grounding, "segmentation": train_segmentation}
FILES = {
    "grounding": {"weights.pth", "config.json", "text"},
    "segmentation": {"weights.pth", "weights.json"},
}


@pytest.fixture(params=SCRIPTS)
def script(request, monkeypatch):
    """(name, its module, a new network of it, what draws a batch of two stills for it)."""
    module = SCRIPTS[request.param]
    monkeypatch.setitem(train_grounding.GROUNDING, "size", 96)  # quicker
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = module.build()
    extra = {"tokenizer": model.tokenizer} if request.param == "grounding" else {}
    return request.param, module, model, partial(module.draw, batch=2, **extra)


def test_a_few_steps_on_one_batch_lower_the_loss(script, tmp_path):
    name, module, model, draw = script
    batch = draw(np.random.default_rng(1))
    rate = {"grounding": 1e-4, "segmentation": 1e-3}[name]
    training = Training(model, Options(tmp_path / name, steps=12, minutes=None, batch=2, rate=rate, threads=2))
    for _ in range(12):
        training.step(module.losses_of(model, batch))
    sums = np.sum([*training.losses.values()], axis=0)
    assert sums[-1] < 0.95 * sums[0]


def test_training_goes_on_from_its_own_weights(script, tmp_path, monkeypatch):
    name, module, model, draw = script
    monkeypatch.setattr(module, "draw", draw.func)
    options = Options(tmp_path / name, steps=2, minutes=None, batch=2, rate=1e-3, threads=1, workers=0)
    module.train(options)
    assert {path.name for path in options.out.iterdir()} == FILES[name]
    state = torch.load(options.aside / f"{type(model).__name__.lower()}.pt", weights_only=True)
    assert state["steps"] == 2
    shutil.rmtree(options.aside)
    again = Training(batches.load(module.build, replace(options, resume=True)), options)
    for key, value in again.model.state_dict().items():
        written = state["average"][f"module.{key}"]
        assert torch.equal(value, written.half().float() if written.is_floating_point() else written)


def test_workflow_loads_what_was_written(tmp_path):
    picture = np.zeros((128, 128, 3), np.uint8)
    for name, module in SCRIPTS.items():
        module.save(module.build(), tmp_path / name)
    text = str(tmp_path / "grounding" / "text")
    detector = Detector(str(tmp_path / "grounding/weights.pth"), str(tmp_path / "grounding/config.json"), text, "cpu")
    boxes, scores = detector(picture, ["the red ball", "a qzx"])
    assert boxes.shape[1:] == (4,) and scores.shape == (2, len(boxes))
    assert scores.max() < 0.5  # the first weights find nothing
    segmenter = Segmenter(str(tmp_path / "segmentation/weights.pth"), torch.device("cpu"))
    assert segmenter(picture, [[10, 10, 50, 50]]).shape == (1, 128, 128)


def test_batches_are_the_same_for_every_worker_and_differ_between_steps(script):
    draw = script[3]
    key = "pictures"
    drawn = batches.Batches(draw, seed=3)
    assert torch.equal(drawn[7][key], drawn[7][key])
    first, second = drawn[7][key], drawn[8][key]
    assert first.shape != second.shape or not torch.equal(first, second)


def test_stills_come_from_training_seeds(monkeypatch):
    seen = []
    for drawn in ("still", "moment"):
        monkeypatch.setattr(batches, drawn, lambda seed, size: seen.append(seed))
    rng = np.random.default_rng(0)
    for _ in range(1000):
        batches.random_still(rng, (128, 128))
    assert min(seen) >= 0 and max(seen) in TRAINING_SEEDS and max(seen) > 890_000


def test_captions_name_the_objects_they_say():
    rng = np.random.default_rng(0)
    for seed in range(60):
        scene = Scene.random(seed, (64, 64), frames=1, objects=1 + seed % 3)
        seen, hidden = [1, *range(3, 1 + len(scene.things))], [*range(2, 1 + len(scene.things))][:1]
        phrases, named = train_grounding.ask(rng, scene, seen, hidden)
        assert 1 <= len(phrases) <= 5
        for phrase, k in zip(phrases, named, strict=True):
            words = tuple(SAME.get(word, word) for word in phrase.split() if word not in ("a", "an", "the"))
            fitting = [i for i, look in enumerate(scene.things, 1) if look.fits(words)]
            assert fitting == [k] if k else fitting in ([], hidden)


def test_tokens_are_those_the_detector_reads():
    model = train_grounding.build()
    phrases = ["the red striped ball", "an orange star", "zebra", "ring"]
    caption, words = Detector.caption(SimpleNamespace(model=model), phrases)
    assert caption == " . ".join(phrases) + " ."
    assert train_grounding.tokens_of(phrases, model.tokenizer) == words
    assert model.tokenizer.tokenize("a red striped ball") == ["a", "red", "striped", "ball"]
    assert model.tokenizer.unk_token not in model.tokenizer.tokenize("zebra")


def test_match_is_the_cheapest_of_all_ways():
    cost = torch.rand(20, 3, 7, generator=torch.Generator().manual_seed(0))
    cost[:, 1] = cost[:, 0] + 0.01  # so they want the same queries
    for each, found in zip(cost, train_grounding.match(cost), strict=True):
        best = min(permutations(range(7), 3), key=lambda way: sum(each[i, q] for i, q in enumerate(way)))
        assert len(set(found.tolist())) == 3
        assert each[range(3), found].sum() == pytest.approx(sum(each[i, q] for i, q in enumerate(best)))


def test_exact_answers_cost_nothing():
    box, words = torch.tensor([[[0.5, 0.5, 0.2, 0.2]]]), torch.zeros(1, 1, 256)
    words[..., 1:3] = 1
    logits = torch.full((1, 4, 256), -torch.inf)
    logits[..., :5] = -30
    logits[0, 2, 1:3] = 30
    boxes = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.2
    boxes[0, 2] = box[0, 0]
    batch = {"boxes": box.repeat(1, 3, 1), "words": torch.cat([words, torch.zeros(1, 2, 256)], 1)}
    pairs = torch.zeros(1, 3, 4, dtype=torch.bool)
    pairs[0, 0, 2] = True
    said = train_grounding.Prediction(logits, boxes)
    assert train_grounding.match(train_grounding.cost_of(*said, batch))[0, 0] == 2
    assert sum(train_grounding.losses_of_stage(said, pairs, batch).values()) < 1e-5
    assert sum(train_grounding.losses_of_stage(said, pairs.roll(1, 2), batch).values()) > 1


def test_places_of_an_object_lie_around_its_centre_on_one_level():
    grid = torch.cartesian_prod(torch.arange(0.05, 1, 0.1), torch.arange(0.05, 1, 0.1))
    starts = torch.cat([torch.cat([grid, torch.full_like(grid, size)], 1) for size in (0.05, 0.1, 0.2)])
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.1], [0.55, 0.5, 0.3, 0.4], [0.3, 0.2, 0.9, 0.6]]])
    pairs = train_grounding.near(boxes, torch.tensor([[True, True, True]]), starts)[0]
    for k, size in enumerate((0.05, 0.1, 0.2)):
        assert starts[pairs[k], 2].unique().tolist() == pytest.approx([size])
        assert (starts[pairs[k], :2] - boxes[0, k, :2]).abs().max() < 1.2 * size
    assert not train_grounding.near(boxes, torch.tensor([[False, True, False]]), starts)[0, [0, 2]].any()
    twins = boxes[:, [1, 1, 2]] + torch.tensor([[[0.0], [0.02], [0.0]]])  # one place cannot stand for two
    assert train_grounding.near(twins, torch.ones(1, 3, dtype=torch.bool), starts).sum(1).max() == 1


def test_jittered_boxes_stay_near():
    rng, box = np.random.default_rng(0), np.array([20, 30, 60, 50])
    boxes = np.array([train_segmentation.jittered(rng, box) for _ in range(500)])
    assert (boxes == box).all(axis=1).mean() == pytest.approx(0.3, abs=0.06)
    assert (boxes[:, :2] <= box[:2] + (4, 2)).all() and (boxes[:, :2] >= box[:2] - (12, 6)).all()

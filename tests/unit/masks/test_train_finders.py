"""The training scripts of the detector and the segmenter: what they draw, that they learn, and what they leave."""

import argparse
from functools import partial
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import train_grounding
import train_segmentation
import training
from clevam.detector import Detector
from clevam.segmenter import Segmenter
from world import TRAINING_SEEDS, Scene

SCRIPTS = {"grounding": train_grounding, "segmentation": train_segmentation}
FILES = {
    "grounding": {"weights.pth", "config.json", "text", "loss.csv", "loss.png"},
    "segmentation": {"weights.pth", "weights.json", "loss.csv", "loss.png"},
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


def options(out, steps):
    return argparse.Namespace(out=out, steps=steps, minutes=None, rate=1e-3, seed=0, workers=0)


def test_a_few_steps_on_one_batch_lower_the_loss(script):
    name, module, model, draw = script
    batch = draw(np.random.default_rng(1))
    optimizer = torch.optim.AdamW(model.parameters(), {"grounding": 1e-4, "segmentation": 1e-3}[name])
    sums = []
    for _ in range(8):
        loss = sum(module.losses_of(model, batch).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sums.append(loss.item())
    assert sums[-1] < 0.96 * sums[0]


def test_training_goes_on_from_its_own_weights(script, tmp_path, monkeypatch):
    name, module, model, draw = script
    monkeypatch.setattr(training, "EVERY", 2)
    training.fit(model, draw, module.losses_of, partial(module.save, model), options(tmp_path, 2))
    assert {path.name for path in tmp_path.iterdir()} == FILES[name]
    again = module.load(tmp_path, seed=5)
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value.half().float() if value.is_floating_point() else value)
    training.fit(again, draw, module.losses_of, partial(module.save, again), options(tmp_path, 2))
    assert [row["step"] for row in training.Curve(tmp_path).rows] == [2, 4]


def test_networks_of_other_sizes_are_not_gone_on_from(script, finders):
    name, module, model, _ = script
    assert {k: v.shape for k, v in module.load(finders / name, 0).state_dict().items()} == {
        k: v.shape for k, v in model.state_dict().items()
    }


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
    batches = training.Batches(draw, seed=3)
    assert torch.equal(batches[7][key], batches[7][key])
    first, second = batches[7][key], batches[8][key]
    assert first.shape != second.shape or not torch.equal(first, second)


def test_stills_come_from_training_seeds(monkeypatch):
    seen = []
    monkeypatch.setattr(training, "still", lambda seed, size: seen.append(seed))
    rng = np.random.default_rng(0)
    for _ in range(1000):
        training.random_still(rng, (128, 128))
    assert min(seen) >= 0 and max(seen) in TRAINING_SEEDS and max(seen) > 890_000


def test_captions_name_the_objects_they_say():
    rng = np.random.default_rng(0)
    for seed in range(60):
        scene = Scene.random(seed, (64, 64), frames=1, objects=1 + seed % 3)
        phrases, named = train_grounding.ask(rng, scene, [1, *range(2, 1 + len(scene.things))])
        assert 1 <= len(phrases) <= 5
        for phrase, k in zip(phrases, named, strict=True):
            words = tuple(
                train_grounding.SAME.get(word, word) for word in phrase.split() if word not in ("a", "an", "the")
            )
            assert [i for i, look in enumerate(scene.things, 1) if look.fits(words)] == ([k] if k else [])


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
    assert sum(train_grounding.losses_of_layer(logits, boxes, batch).values()) < 1e-5


def test_jittered_boxes_stay_near():
    rng, box = np.random.default_rng(0), np.array([20, 30, 60, 50])
    boxes = np.array([train_segmentation.jittered(rng, box) for _ in range(500)])
    assert (boxes == box).all(axis=1).mean() == pytest.approx(0.3, abs=0.06)
    assert (boxes[:, :2] <= box[:2] + (4, 2)).all() and (boxes[:, :2] >= box[:2] - (12, 6)).all()

"""The probe reads true scenes right, and sees what an edit changed."""

from dataclasses import replace

import numpy as np
import pytest

import probe
from things import COLOURS, SHAPES, Look
from world import Scene, still


def test_reads_true_scenes():
    results = probe.accuracy(range(900_200, 900_204))
    assert all(right == total > 2 for right, total in results.values())


@pytest.mark.parametrize(
    "phrase", ["a blue dotted star", "a red ring", "a purple checkered moon", "a black striped heart"]
)
def test_reads_what_an_edit_puts_in_the_place_of_an_object(phrase):
    scene = Scene.random(900_211, (128, 128), frames=1, objects=1).counterfactual(1, phrase)
    assert probe.read(scene.frame(0), scene.labels(0) == 1) == Look.named(phrase)


@pytest.mark.parametrize("colour", COLOURS)
def test_colour_at_any_brightness(colour):
    for light in 0.75, 1.0, 1.15:
        pixels = np.clip(np.array(COLOURS[colour]) * light, 0, 255)[None].repeat(30, axis=0)
        assert probe.read_colour(pixels)[0] == colour


@pytest.mark.parametrize("shape", SHAPES)
def test_shape_when_turned_and_partly_out_of_the_picture(shape):
    pixels = probe.pixel_centres((64, 64))
    for turn in np.radians([0, 20, 77]):
        mask = SHAPES[shape]((pixels - (32 + 16j)) / (20 * np.exp(1j * turn))) <= 0  # 4 pixels of it are above
        found, centre, gain = probe.read_shape(mask, None)
        assert found == shape
        assert abs(centre - (32 + 16j)) < 1.5 and abs(abs(gain) - 20) < 1.5


def test_hidden_pixels_count_for_nothing():
    circle = abs(probe.pixel_centres((64, 64)) - (32 + 32j)) < 20
    hidden = np.zeros_like(circle)
    hidden[:, :24] = True
    assert probe.read_shape(circle & ~hidden, hidden)[0] == "circle"
    assert probe.read_shape(circle & ~hidden, None)[0] != "circle"


def test_share_that_is_seen():
    shown = still(900_000)
    assert 0.5 < probe.visible(shown, 1) <= 1


def test_finds_the_only_object_of_a_picture():
    for seed in range(900_300, 900_308):
        scene = Scene.random(seed, (128, 128), frames=1, objects=1, diameter=(0.4, 0.45), camera=False)
        picture, mask, look = scene.frame(0), scene.labels(0) == 1, scene.things[0]
        kind, found = probe.find(picture)
        assert kind == scene.shots[0].kind
        assert (found & mask).sum() > 0.7 * (found | mask).sum()
        assert set(probe.judge(picture, look, kind).values()) == {True}


def test_judges_each_answer_on_its_own():
    scene = Scene.random(900_301, (128, 128), frames=1, objects=1, diameter=(0.4, 0.45), camera=False)
    look, kind = scene.things[0], scene.shots[0].kind
    colour = next(each for each in COLOURS if each != look.colour)
    other = next(each for each in probe.GROUNDS if each != kind)
    answers = {"colour": True, "texture": True, "shape": True, "background": True}
    assert probe.judge(scene.frame(0), replace(look, colour=colour), kind) == answers | {"colour": False}
    assert probe.judge(scene.frame(0), look, other) == answers | {"background": False}
    empty = Scene.random(900_301, (128, 128), frames=1, objects=1).counterfactual(1, shape=look.shape)
    nothing = empty.shots[0].layers[0].surface.paint(*np.meshgrid(np.arange(64) / 64, np.arange(64) / 64))
    assert not any(probe.judge(nothing.clip(0, 255).astype(np.uint8), look, other).values())

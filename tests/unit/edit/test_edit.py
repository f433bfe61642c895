"""Painting B into keyframes, with the demo's checkpoint: two steps, pictures of 96 x 72."""

import copy
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from clevam import control, diffusion, edit, grid, images, twin
from clevam.diffusion import Machine
from clevam.edit import Keyframe
from clevam.errors import UserError
from clevam.files import read_json
from clevam.spare import Spare
from conftest import CHECKPOINT, EDIT, box_labels, context, write_scene

MACHINE = Machine(str(CHECKPOINT), "cpu", 2)
CROP = {"box": [24, 12, 48, 48], "work": [128, 128]}
FEATHER = 3
SETTINGS = {
    "weights": "0123456789ab",
    "find": ["the dog"],
    "replace": ["a red fox"],
    "feather": FEATHER,
    "dtype": "auto",
    "tiling": False,
    "variant": None,
    "edit": EDIT | {"steps": 2},
}  # fmt: skip


def settings(**changes) -> dict:
    """SETTINGS with other values: of an edit's attention or sharing, of an edit, or at the top."""
    result = copy.deepcopy(SETTINGS)
    for key, value in changes.items():
        part = next(
            d for d in (result["edit"]["attention"], result["edit"]["share"], result["edit"], result) if key in d
        )
        part[key] = value
    return result


@pytest.fixture(scope="module")
def editor() -> edit.Editor:
    return edit.Editor(SETTINGS, MACHINE)


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> dict:
    """The edited reference, keyframe 000000: {"picture", "cache"}."""
    folder = tmp_path_factory.mktemp("first")
    return reference(folder, write_scene(folder, "000000"))


def reference(folder: Path, scene: tuple[str, str], given: str | None = None, **changes) -> dict:
    """Edit a reference {"picture", "cache"} in a folder; given: a picture of it."""
    paths, keyframe = (
        {"picture": str(folder / "reference.png"), "cache": str(folder / "reference")},
        Keyframe(*scene, CROP),
    )
    inverted = None
    if changes.get("start") != "noise":
        inverted = str(invert(folder / "inverted", {"000000": keyframe}, **changes) / "000000.safetensors")
    options = {"settings": settings(**changes), "machine": MACHINE, "given": given}
    edit.reference(keyframe, inverted, *paths.values(), **options)
    return paths


def invert(folder: Path, keyframes: dict[str, Keyframe], **changes) -> Path:
    """Invert keyframes into a folder."""
    asked = settings(**changes)
    asked |= {key: asked["edit"][key] for key in ("steps", "attention")}
    edit.invert(keyframes, str(folder), settings=asked, machine=MACHINE)
    return folder


def block(target: Path, first: dict, keyframes: dict, *, untouched: dict | None = None, batch: int = 1, **changes):
    """Edit `keyframes` {name: (keyframe, mask)} and return the pictures in `target` by name."""
    frames = {name: Keyframe(*paths, CROP) for name, paths in keyframes.items()}
    edit.block(
        frames,
        str(invert(target.with_name(f"{target.name}.inverted"), frames, **changes)),
        str(target),
        untouched=untouched or {},
        cache=first["cache"],
        settings=settings(**changes),
        machine=replace(MACHINE, batch=batch),
    )
    return {path.stem: images.read_rgb(path) for path in sorted(target.glob("*.png"))}


def painted(editor: edit.Editor, keyframe: str, mask: str, crop: dict = CROP) -> np.ndarray:
    """One edited keyframe."""
    opened = [editor.open(Keyframe(keyframe, mask, crop))]
    (picture,) = editor.edit(opened, editor.invert(opened))
    return picture


# ---- what changes and what does not -------------------------------------------------------------------------------


def test_edit_changes_the_object_and_keeps_every_bit_beyond_the_feather(editor, scene):
    keyframe, mask = scene("000000", mask=(slice(30, 44), slice(36, 60)))
    found, source = painted(editor, keyframe, mask), images.read_rgb(keyframe)
    y, x = np.mgrid[:72, :96]
    distance = np.hypot(np.maximum(0, np.maximum(30 - y, y - 43)), np.maximum(0, np.maximum(36 - x, x - 59)))
    changed = (found != source).any(-1)
    assert not changed[distance >= 2 * FEATHER + 1].any()
    assert changed[distance == 0].mean() > 0.9
    assert changed[(distance > 0) & (distance <= FEATHER)].mean() > 0.5


def test_edit_shows_only_what_was_painted_as_far_as_the_feather(editor, scene, monkeypatch):
    monkeypatch.setattr(editor.model, "to_pixels", lambda latent: np.full((128, 128, 3), 255, np.float32))
    found = painted(editor, *scene("000000", mask=(slice(30, 44), slice(36, 60))))
    assert (found[30 - FEATHER : 44 + FEATHER, 36:60] == 255).all()


@pytest.mark.parametrize(
    "change", [{"guidance": 9}, {"negative": "blurry"}, {"isolation": "none"}, {"words": "whole"}, {"replace": ["owl"]}]
)
def test_edit_follows_words_and_options(editor, scene, change):
    paths = scene("000000")
    changed = edit.Editor(settings(**change), MACHINE)
    assert not np.array_equal(painted(changed, *paths), painted(editor, *paths))


def test_words_are_pairs_of_the_negative_and_the_wanted_and_none_for_the_outside():
    editor = edit.Editor(settings(negative="blurry"), MACHINE)
    encode = lambda text: editor.model.encode(text).embedding  # noqa: E731
    for found, words in zip(editor.words["texts"], ["", "a red fox"], strict=True):
        assert torch.equal(found, torch.cat([encode("blurry"), encode(words)]))


def test_edit_takes_a_crop_that_is_not_square_and_reaches_beyond_the_picture(editor, scene, monkeypatch):
    seen, to_latent = [], editor.model.to_latent
    monkeypatch.setattr(editor.model, "to_latent", lambda rgb: seen.append(rgb.shape) or to_latent(rgb))
    keyframe, mask = scene("000000", mask=(slice(50, 72), slice(70, 96)))
    found = painted(editor, keyframe, mask, {"box": [42, 36, 72, 48], "work": [192, 128]})
    source = images.read_rgb(keyframe)
    assert seen == [(128, 192, 3)]
    assert found.shape == source.shape
    assert (found != source).any(-1)[50:, 70:].mean() > 0.9


def test_edit_takes_several_regions_each_with_its_words(scene, tmp_path):
    keyframe, mask = scene("000000")
    labels = np.zeros((72, 96), np.uint8)
    labels[30:44, 30:42], labels[30:44, 54:66] = 1, 2
    images.write_png(mask, labels)
    source, two = images.read_rgb(keyframe), settings(find=["a dog", "a cat"], replace=["a fox", "an owl"])
    changed = (painted(edit.Editor(two, MACHINE), keyframe, mask) != source).any(-1)
    assert changed[labels == 1].mean() > 0.9
    assert changed[labels == 2].mean() > 0.9


@pytest.mark.parametrize(("start", "same"), [("noise", False), ("inversion", True)])
def test_edit_depends_on_the_seed_only_where_it_starts_from_noise(scene, editor, monkeypatch, start, same):
    paths, found = scene("000000"), []
    for seed in (0, 1):
        monkeypatch.setattr(editor, "edit_options", settings(start=start, seed=seed)["edit"])
        found.append(painted(editor, *paths))
    assert np.array_equal(*found) == same


def test_edit_starts_from_a_standardized_inversion_only_where_that_is_asked_for(scene, editor, monkeypatch):
    opened = [editor.open(edit.Keyframe(*scene("000000"), CROP))]
    path = [*editor.invert(opened).unbind(1)]
    inside = opened[0].inside > 0
    assert editor.start(path, opened)[0][:, inside].mean(1).abs().max() < 1e-5
    monkeypatch.setattr(editor, "edit_options", settings(standardize=False)["edit"])
    assert torch.equal(editor.start(path, opened), path[0])


@pytest.mark.parametrize(("strength", "first"), [(1.0, 0), (0.5, 1), (0.01, 1)])
def test_edit_with_less_strength_starts_nearer_to_the_source(scene, strength, first):
    editor = edit.Editor(settings(start="source", strength=strength), MACHINE)
    opened = [editor.open(edit.Keyframe(*scene("000000"), CROP))]
    path = editor.source_path(opened, None)
    assert editor.first == first
    assert torch.equal(editor.start(path, opened), path[first])
    torch.testing.assert_close(path[-1], editor.model.to_latent(opened[0].piece))


def test_edit_that_starts_on_the_way_back_takes_the_inversion_as_it_is(scene):
    editor = edit.Editor(settings(strength=0.5), MACHINE)
    opened = [editor.open(edit.Keyframe(*scene("000000"), CROP))]
    path = [*editor.invert(opened).unbind(1)]
    assert torch.equal(editor.start(path, opened), path[1])


def test_edit_without_an_inversion_holds_the_background_all_the_same(scene):
    keyframe, mask = scene("000000")
    editor = edit.Editor(settings(start="noise"), MACHINE)
    opened = [editor.open(edit.Keyframe(keyframe, mask, CROP))]
    (found,) = editor.edit(opened, None)
    far = cv2.distanceTransform(np.uint8(opened[0].labels == 0), cv2.DIST_L2, 5) > 2 * FEATHER + 1
    assert np.array_equal(found[far], opened[0].picture[far])
    assert (found != opened[0].picture).any()


@pytest.mark.parametrize("where", ["inside", "outside", "both"])
def test_edit_injects_where_it_is_told(scene, editor, where):
    keyframe, mask = scene("000000")
    inject = {"where": where, "layers": ["all"], "window": [0, 1]}
    plain = painted(editor, keyframe, mask)
    assert not np.array_equal(painted(edit.Editor(settings(inject=inject), MACHINE), keyframe, mask), plain)


@pytest.mark.parametrize("words", ["一只红色的狐狸，戴着帽子", "fox " * 2500, "🦊"])
def test_edit_takes_any_words(scene, words):
    keyframe, mask = scene("000000")
    editor = edit.Editor(settings(find=[words], replace=[words], negative=words), MACHINE)
    assert editor.model.encode(words).embedding.shape == (1, 77, 32)
    assert (painted(editor, keyframe, mask) != images.read_rgb(keyframe)).any()


def test_edit_gives_the_same_bytes_again_whatever_ran_before(scene):
    paths, other = scene("000000"), scene("000012", seed=3)
    first = painted(edit.Editor(SETTINGS, MACHINE), *paths)
    torch.rand(7)
    again = edit.Editor(SETTINGS, MACHINE)
    painted(again, *other)
    assert np.array_equal(painted(again, *paths), first)


def test_latent_labels_cover_the_latent_whatever_the_size_of_the_crop(editor):
    labels = np.zeros((48, 72), np.uint8)
    labels[:24, 48:] = 1
    assert editor.latent_labels(labels, (2, 3)).tolist() == [[0, 0, 1], [0, 0, 0]]


def test_noise_is_the_same_for_every_keyframe_and_type(editor):
    like = torch.zeros(2, 4, 2, 3)
    first, second = editor.noise(like)
    assert torch.equal(first, second)
    assert torch.equal(editor.noise(like), editor.noise(like + 1))
    assert torch.equal(editor.noise(like.half()), editor.noise(like).half())
    assert not torch.isclose(editor.noise(like, 1), editor.noise(like)).any()


# ---- reference and block ------------------------------------------------------------------------------------------


def test_reference_leaves_its_picture_and_one_file_for_each_step(first):
    assert images.read_rgb(first["picture"]).shape == (72, 96, 3)
    assert sorted(p.name for p in Path(first["cache"]).glob("[!.]*")) == ["meta.json", "step_000.pt", "step_001.pt"]


def test_reference_that_is_not_shared_keeps_no_attention(tmp_path, scene):
    assert list(Path(reference(tmp_path, scene("000000"), reference=False)["cache"]).glob("[!.]*")) == []


def test_reference_writes_the_same_bytes_twice(tmp_path, scene, first):
    again = reference(tmp_path, scene("000000"))
    assert Path(again["picture"]).read_bytes() == Path(first["picture"]).read_bytes()
    for path in Path(again["cache"]).glob("[!.]*"):
        assert path.read_bytes() == (Path(first["cache"]) / path.name).read_bytes()


@pytest.mark.parametrize("store", ["hidden", "replay"])
def test_what_is_kept_of_the_reference_is_smaller_and_says_the_same(tmp_path, scene, first, store):
    kept = reference(tmp_path, scene("000000"), store=store)
    assert Path(kept["picture"]).read_bytes() == Path(first["picture"]).read_bytes()
    sizes = [sum(path.stat().st_size for path in Path(one["cache"]).glob("step_*.pt")) for one in (kept, first)]
    assert sizes[0] < 0.7 * sizes[1]
    frames = {"000012": scene("000012", seed=3)}
    expected = block(tmp_path / "kv", first, frames)["000012"].astype(int)
    found = block(tmp_path / store, kept, frames, store=store)["000012"]
    assert np.abs(found - expected).max() <= 1


def test_a_given_reference_is_taken_as_it_is_in_the_mask(tmp_path, scene, first):
    keyframe, mask = scene("000000")
    given, _ = write_scene(tmp_path / "given", "000000", seed=9)
    source, theirs, inside = images.read_rgb(keyframe), images.read_rgb(given), images.read_labels(mask, 1) > 0
    found = images.read_rgb(reference(tmp_path, (keyframe, mask), given)["picture"])
    assert np.array_equal(found[inside], theirs[inside])
    beyond = cv2.dilate(np.uint8(inside), np.ones((4 * FEATHER + 3,) * 2)) == 0
    assert np.array_equal(found[beyond], source[beyond])


def test_other_keyframes_look_at_a_given_reference(tmp_path, scene, first):
    """At what the network says of it on its way to noise: the same whether that is kept, or said again."""
    given, _ = write_scene(tmp_path / "given", "000000", seed=9)
    frames = {"000012": scene("000012", seed=3)}
    found = {}
    for kept in ("kv", "replay"):
        looked_at = reference(tmp_path / kept, scene("000000"), given, store=kept)
        found[kept] = block(tmp_path / f"{kept}.block", looked_at, frames, store=kept)["000012"].astype(int)
    assert np.abs(found["kv"] - found["replay"]).max() <= 1
    assert np.abs(found["kv"] - block(tmp_path / "painted", first, frames)["000012"]).max() > 1


def test_a_given_reference_of_another_size_is_refused(tmp_path, scene):
    images.write_png(tmp_path / "small.png", np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(UserError, match=r"small\.png: is 9x9, but the upright video is 96x72"):
        reference(tmp_path, scene("000000"), str(tmp_path / "small.png"))


def test_what_is_tried_is_what_the_reference_would_be(tmp_path, scene, first):
    """With one model for all of it, and the inversion not from a file."""
    ways = {"other": settings(start="noise", seed=3), "own": settings()}
    tried = {name: (way, f"digest of {name}") for name, way in ways.items()}
    edit.tried(Keyframe(*scene("000000"), CROP), str(tmp_path / "tried"), tried=tried, machine=MACHINE)
    other = reference(tmp_path / "other", scene("000000"), start="noise", seed=3)
    for name, expected in {"own": first, "other": other}.items():
        found = tmp_path / "tried" / name
        assert found.with_suffix(".png").read_bytes() == Path(expected["picture"]).read_bytes()
        for path in Path(expected["cache"]).iterdir():
            assert (found / path.name).read_bytes() == path.read_bytes()
        assert twin.take(f"digest of {name}", found, str(tmp_path / "a.png"), str(tmp_path / "a"))


def test_block_takes_untouched_pictures_as_they_are_and_loads_no_model_for_them(tmp_path, scene, first, monkeypatch):
    monkeypatch.setattr(edit, "Editor", None)
    monkeypatch.setattr(edit, "Inverter", None)
    keyframe, _ = scene("000012")
    found = block(tmp_path / "block", first, {}, untouched={"000000": first["picture"], "000012": keyframe})
    assert np.array_equal(found["000000"], images.read_rgb(first["picture"]))
    assert np.array_equal(found["000012"], images.read_rgb(keyframe))


def test_block_loads_the_model_once(tmp_path, scene, first, monkeypatch):
    loaded, load = [], diffusion.load
    monkeypatch.setattr(diffusion, "load", lambda *args: loaded.append(args) or load(*args))
    frames = {name: scene(name, seed) for seed, name in enumerate(["000000", "000012", "000024"])}
    assert block(tmp_path / "block", first, frames).keys() == frames.keys()
    assert len(loaded) == 2  # for the inversions, for the edits


@pytest.mark.parametrize("adain", [True, False])
def test_block_edits_the_reference_against_its_own_attention_to_the_same_picture(tmp_path, scene, first, adain):
    found = block(tmp_path / "block", first, {"000000": scene("000000")}, adain=adain)
    expected = images.read_rgb(first["picture"]).astype(int)
    assert np.abs(found["000000"] - expected).max() <= 1


def test_block_looks_at_the_reference(tmp_path, scene, first):
    frames = {"000012": scene("000012", seed=3)}
    alone = block(tmp_path / "alone", first, frames, reference=False)["000012"]
    looking = block(tmp_path / "looking", first, frames)["000012"]
    assert np.abs(alone.astype(int) - looking).max() > 1


def test_block_renormalises_only_with_adain(tmp_path, scene, first):
    frames = {"000012": scene("000012", seed=3)}
    found = [block(tmp_path / str(adain), first, frames, adain=adain)["000012"] for adain in (True, False)]
    assert not np.array_equal(*found)


def test_block_edits_a_keyframe_the_same_whoever_is_beside_it(tmp_path, scene, first):
    frames = {"000012": scene("000012", seed=3), "000024": scene("000024", seed=4)}
    together = block(tmp_path / "together", first, frames)
    alone = block(tmp_path / "alone", first, {"000024": frames["000024"]})
    assert np.array_equal(together["000024"], alone["000024"])


def test_block_edits_keyframes_the_same_alone_and_in_a_batch(tmp_path, scene, first):
    frames = {f"{i:06d}": scene(f"{i:06d}", seed=i, mask=(slice(30, 44), slice(36, 44 + 6 * i))) for i in range(3)}
    alone, batched = (block(tmp_path / str(batch), first, frames, batch=batch) for batch in (1, 3))
    for name in frames:
        assert np.abs(alone[name].astype(int) - batched[name]).max() <= 1


def test_block_sends_as_many_keyframes_through_the_network_as_the_batch_allows(tmp_path, scene, first, monkeypatch):
    seen, predict = set(), edit.sampler.predict
    monkeypatch.setattr(edit.sampler, "predict", lambda unet, z, *rest: seen.add(len(z)) or predict(unet, z, *rest))
    block(tmp_path / "block", first, {f"{i:06d}": scene(f"{i:06d}", seed=i) for i in range(3)}, batch=2)
    assert seen == {2, 4, 1}  # inversion of two; their pairs, or inversion of the third is 1, its pair 2


def out_of_memory(monkeypatch, function: str, fits) -> list[int]:
    """Have a function of the sampler run out of memory where what it is given does not fit; returns how much it was."""
    asked, real = [], getattr(edit.sampler, function)

    def limited(unet, schedule, z, *rest, **options):
        asked.append(len(z))
        if not fits(len(z)):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(unet, schedule, z, *rest, **options)

    monkeypatch.setattr(edit.sampler, function, limited)
    return asked


def test_keyframes_are_counted_by_their_steps_and_not_twice_where_memory_runs_out(tmp_path):
    counted, spare = [], Spare(lambda: True)

    def work(names):
        for step in spare.steps(range(2)):
            counted.append(spare.bar.n)
            if step and len(names) > 2:
                raise torch.OutOfMemoryError

    spare.each(tmp_path, [["a", "b", "c", "d"], ["e"]], work)
    assert counted == [0, 2, 0, 1, 2, 3, 4, 4.5]
    assert spare.bar.n == spare.bar.total == 5


def test_where_memory_runs_out_fewer_keyframes_go_together_and_it_is_recorded(tmp_path, scene, first, monkeypatch):
    frames = {f"{i:06d}": scene(f"{i:06d}", seed=i) for i in range(5)}
    plain = block(tmp_path / "plain", first, frames)
    asked = out_of_memory(monkeypatch, "edit", lambda count: count < 3)
    spared = block(tmp_path / "spared", first, frames, batch=4)
    assert asked == [4, 2, 2, 1]  # and not four again
    assert spared.keys() == plain.keys()
    assert all(np.abs(spared[name].astype(int) - plain[name]).max() <= 1 for name in plain)
    assert read_json(tmp_path / "spared/memory.json") == {"batch": 2, "tiling": False}
    assert not (tmp_path / "plain/memory.json").exists()


def test_where_one_is_too_many_pictures_are_tiled_and_then_it_says_what_to_do(tmp_path, scene, first, monkeypatch):
    tiled, room = [], [False]
    monkeypatch.setattr(edit.Diffusion, "tile", lambda self: not tiled and not tiled.append(True))
    asked = out_of_memory(monkeypatch, "edit", lambda count: count == 1 and bool(tiled) and room[0])
    room[0] = True
    block(tmp_path / "tiled", first, {"000001": scene("000001"), "000002": scene("000002", seed=2)}, batch=2)
    assert asked == [2, 1, 1, 1]
    assert read_json(tmp_path / "tiled/memory.json") == {"batch": 1, "tiling": True}
    room[0] = False
    with pytest.raises(UserError, match="out of memory with one keyframe .* set runtime.offload"):
        block(tmp_path / "never", first, {"000001": scene("000001")})
    assert not (tmp_path / "never").exists()


def test_keyframes_go_together_in_their_order_up_to_the_batch_and_only_in_one_size():
    sizes = {"a": [128, 128], "b": [128, 128], "c": [128, 128], "d": [192, 128], "e": [128, 128]}
    frames = {name: Keyframe("", "", {"work": size}) for name, size in sizes.items()}
    assert list(edit.together(frames, 2)) == [["a", "b"], ["c"], ["d"], ["e"]]


@pytest.mark.parametrize(("change", "message"), [({"weights": "f" * 12}, "weights"), ({"steps": 3}, "timesteps")])
def test_block_refuses_the_attention_of_another_run_and_leaves_nothing(tmp_path, scene, first, change, message):
    with pytest.raises(UserError, match=f"reference: made with {message} .*; delete it and run again"):
        block(tmp_path / "block", first, {"000012": scene("000012")}, **change)
    assert not (tmp_path / "block").exists()


def test_whole_words_are_those_of_all_regions():
    both = edit.Editor(settings(words="whole", find=["a", "b"], replace=["a fox", "a cat"]), MACHINE)
    assert torch.equal(both.words["texts"][-1][1:], both.model.encode("a fox, a cat").embedding)


def test_official_words_are_spliced_and_weighted():
    editor = edit.Editor(settings(words="official"), MACHINE)
    outside, inside = editor.words["weights"]
    assert outside.shape == (77,) and not (outside * inside).any() and outside[0] == inside[0] == 0
    assert torch.equal(editor.words["texts"][0], editor.words["texts"][1])
    fox = editor.model.encode("a red fox").embedding
    assert torch.equal(editor.words["texts"][1][1:, 39:], fox[:, 1:39])
    assert torch.equal(editor.words["texts"][1][:1], editor.model.encode("").embedding)


def test_layers_that_the_network_does_not_have_are_refused():
    message = "edit.share.layers: no layer begins with 'up_block.1'; there are down_blocks.0, .*, up_blocks.3"
    with pytest.raises(UserError, match=message):
        edit.Editor(settings(layers=["up", "up_block.1"]), MACHINE)


@pytest.mark.parametrize("content", [None, b"", b'\x08\0\0\0\0\0\0\0{"a": 1'])
def test_a_missing_or_damaged_inversion_is_named_with_the_cure(tmp_path, content):
    path = tmp_path / "inverted" / "000000.safetensors"
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"000000.safetensors: missing or damaged; delete .*inverted and run again"):
        edit.read_inversion(str(path))


# ---- keyframes that know of each other ---------------------------------------------------------------------------


def chained(folder: Path, first: dict, blocks: list[dict], previous: int = 1, **changes) -> dict:
    """The pictures of keyframes {name: (keyframe, mask)}, block after block; each looks at those before it."""
    found, names = {}, [name for each in blocks for name in each]
    for number, keyframes in enumerate(blocks):
        frames = {name: Keyframe(*paths, CROP) for name, paths in keyframes.items()}
        before = {name: names[max(0, names.index(name) - previous) : names.index(name)] for name in keyframes}
        inverted = str(invert(folder / f"inverted{number}", frames, **changes))
        edit.block(
            frames, inverted, str(folder / str(number)), untouched={}, cache=first["cache"],
            settings=settings(previous=previous, **changes), machine=MACHINE, previous=before,
            earlier=[str(folder / str(other)) for other in range(number)],
        )  # fmt: skip
        found |= {path.stem: images.read_rgb(path) for path in (folder / str(number)).glob("*.png")}
    return found


@pytest.fixture
def three(scene) -> dict:
    return {f"{n:06d}": scene(f"{n:06d}", seed=n) for n in (1, 2, 3)}


@pytest.mark.parametrize("store", ["kv", "hidden", "replay"])
def test_a_keyframe_looks_at_the_one_before_it(tmp_path, scene, three, store):
    first = reference(tmp_path, scene("000000"), store=store)
    others = three | {"000001": scene("000009", seed=9)}
    after, else_ = (
        chained(tmp_path / name, first, [each], store=store) for name, each in (("a", three), ("b", others))
    )
    assert np.abs(after["000002"].astype(int) - else_["000002"]).max() > 0
    alone = block(tmp_path / "alone", first, {"000001": three["000001"]}, store=store)
    assert np.array_equal(after["000001"], alone["000001"])  # there is none before the first


@pytest.mark.parametrize("previous", [1, 2])
def test_keyframes_look_at_those_of_the_block_before_as_at_their_own(tmp_path, first, three, previous):
    together = chained(tmp_path / "one", first, [three], previous)
    blocks = [{name: three[name] for name in names} for names in (["000001", "000002"], ["000003"])]
    apart = chained(tmp_path / "two", first, blocks, previous)
    assert together.keys() == apart.keys()
    for name, picture in together.items():
        assert np.array_equal(picture, apart[name])
    kept = sorted(path.name for path in (tmp_path / "one" / "0" / "attention").iterdir())
    assert kept == list(three)[-previous:]


def test_an_earlier_block_without_its_attention_is_named_with_the_cure(tmp_path, first, three):
    blocks = [{name: three[name]} for name in ("000001", "000002")]
    chained(tmp_path, first, blocks[:1])
    shutil.rmtree(tmp_path / "0" / "attention")
    frames = {"000002": Keyframe(*three["000002"], CROP)}
    with pytest.raises(UserError, match=r"/0: the attention in it is missing; delete that folder and run again"):
        edit.block(
            frames, str(invert(tmp_path / "inverted", frames)), str(tmp_path / "1"), untouched={},
            cache=first["cache"], settings=settings(previous=1), machine=MACHINE,
            previous={"000002": ["000001"]}, earlier=[str(tmp_path / "0")],
        )  # fmt: skip
    assert not (tmp_path / "1").exists()


def test_a_grid_of_one_tile_is_the_keyframe_itself(tmp_path, first, three):
    single, grid = (
        block(tmp_path / name, first, three, **options)
        for name, options in (("single", {}), ("grid", {"layout": "grid", "tiles": [1, 1]}))
    )
    for name in three:
        assert np.array_equal(single[name], grid[name])


@pytest.mark.parametrize("changes", [{}, {"start": "noise", "constrain": "repaint"}, {"where": "both"}], ids=str)
def test_keyframes_in_a_grid_are_painted_together_and_lie_where_they_lay(tmp_path, scene, first, three, changes):
    """Three of four tiles: the last one is repeated."""
    first = reference(tmp_path / "first", scene("000000"), **changes) if changes else first
    options = {"layout": "grid", "tiles": [2, 2]} | changes
    found = block(tmp_path / "a", first, three, **options)
    other = block(tmp_path / "b", first, three | {"000001": scene("000009", seed=9)}, **options)
    assert np.abs(found["000003"].astype(int) - other["000003"]).max() > 0
    for name, (keyframe, mask) in three.items():
        source, inside = images.read_rgb(keyframe), images.read_labels(mask, 1) > 0
        far = cv2.distanceTransform(np.uint8(~inside), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > 2 * FEATHER + 1
        assert np.array_equal(found[name][far], source[far])
        assert (found[name] != source).any()


def test_a_grid_cut_apart_gives_its_tiles_row_by_row():
    tiles = [torch.full((3, 2, 4), float(n)) for n in range(5)]
    whole = grid.tiled(tiles, (3, 2))
    assert whole.shape == (3, 4, 12)
    assert [float(tile.mean()) for tile in grid.apart(whole, (3, 2))] == [0, 1, 2, 3, 4, 4]
    assert float(whole[0, 0, 4]) == 1
    assert float(whole[0, 2, 0]) == 3


def test_a_grids_context_is_that_of_its_tiles_side_by_side():
    contexts = [context(box_labels(4, 4, (slice(0, n), slice(0, 2)))) for n in (1, 2)]
    for n, each in enumerate(contexts):
        each.channels = torch.full((1, 5, 4, 4), float(n))
        each.guides = [control.Guide(None, torch.full((1, 3, 16, 16), float(n)))]
    made = grid.context(contexts, (2, 1))
    assert torch.equal(made.labels, torch.cat([each.labels for each in contexts], 1))
    assert made.channels.shape == (1, 5, 4, 8)
    assert made.guides[0].hint.shape == (1, 3, 16, 32)
    assert float(made.guides[0].hint[..., 16:].mean()) == 1
    assert made.views((4, 8), "both")[1].own.numel() == 2 + 4

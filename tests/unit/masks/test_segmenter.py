"""segmenter.py: boxes to masks, from checkpoints in the format of Segment Anything's own."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor, sam_model_registry

from clevam import segmenter
from clevam.errors import UserError
from clevam.segmenter import Segmenter
from clevam.states import load_into
from conftest import noise

CPU = torch.device("cpu")
BOXES = [[10, 5, 60, 40], [3.5, 2.25, 20, 60.5], [0, 0, 97, 64]]


@pytest.fixture(scope="module")
def weights(finders) -> str:
    return str(finders / "segmentation/weights.pth")


@pytest.fixture(scope="module")
def segment(weights) -> Segmenter:
    return Segmenter(weights, CPU)


@pytest.fixture
def copied(weights, tmp_path) -> Path:
    """Weights with their sizes beside them, in a folder of the test's own."""
    for suffix in (".pth", ".json"):
        shutil.copy(Path(weights).with_suffix(suffix), tmp_path)
    return tmp_path / "weights.pth"


def refused(weights: Path) -> str:
    """The error that loading gives, one line that begins with the key."""
    with pytest.raises(UserError, match=r"^models\.segmenter: .*$") as caught:
        Segmenter(str(weights), CPU)
    return str(caught.value)


# ---- masks -------------------------------------------------------------------------------------------------------


def test_masks_are_those_of_segment_anythings_own_predictor(segment, weights):
    picture = noise(64, 97)
    model = segmenter.build(Path(weights).with_suffix(".json"))
    model.load_state_dict(torch.load(weights, weights_only=True))
    predictor = SamPredictor(model.eval())
    predictor.set_image(picture)
    expected = np.concatenate([predictor.predict(box=np.array(box), multimask_output=False)[0] for box in BOXES])
    found = segment(picture, BOXES)
    assert (found.shape, found.dtype) == ((3, 64, 97), bool)
    assert np.array_equal(found, expected)
    assert all(0.05 < mask.mean() < 0.95 for mask in found)
    assert not np.array_equal(found[0], found[1])


def test_a_picture_does_not_depend_on_the_one_before(segment):
    before = segment(noise(64, 97), BOXES)
    segment(noise(40, 30, seed=1), [[0, 0, 20, 20]])
    assert np.array_equal(segment(noise(64, 97), BOXES), before)


@pytest.mark.parametrize("height, width", [(1, 64), (64, 1), (1, 1), (50, 300), (300, 20)])
def test_a_picture_of_any_shape_has_masks_of_its_size(segment, height, width):
    masks = segment(noise(height, width), [[0, 0, width, height], [0, 0, 0, 0]])
    assert masks.shape == (2, height, width)


# ---- checkpoints -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width, name", [(768, "vit_b"), (1024, "vit_l"), (1280, "vit_h")])
def test_a_published_network_is_known_by_its_state_dict(width, name):
    with torch.device("meta"):  # shapes without memory
        expected = sam_model_registry[name]().state_dict()
        found = segmenter.published(expected, "sam.pth").state_dict()
    assert expected["image_encoder.pos_embed"].shape[-1] == width
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in expected.items()}


def test_sizes_describe_a_published_network_too(tmp_path):
    encoder = {"embed_dim": 768, "depth": 12, "num_heads": 12, "global_attn_indexes": [2, 5, 8, 11]}
    sizes = {"image_size": 1024, "patch_size": 16, "window_size": 14, "width": 256, "encoder": encoder}
    sizes["decoder"] = {"depth": 2, "mlp_dim": 2048, "num_heads": 8}
    (tmp_path / "sizes.json").write_text(json.dumps(sizes))
    with torch.device("meta"):
        published, built = sam_model_registry["vit_b"](), segmenter.build(tmp_path / "sizes.json")
    assert repr(built) == repr(published)
    assert [b.window_size for b in built.image_encoder.blocks] == [
        b.window_size for b in published.image_encoder.blocks
    ]


def test_sam_vit_b_is_loaded_at_its_full_size(segment):
    state = sam_model_registry["vit_b"]().state_dict()
    model = segmenter.published(state, "sam_vit_b.pth")
    load_into(model, state, "sam_vit_b.pth", "models.segmenter")
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    tiny = segment.predictor.model
    assert torch.equal(tiny.pixel_mean, model.pixel_mean) and torch.equal(tiny.pixel_std, model.pixel_std)
    assert sum(tensor.numel() for tensor in model.parameters()) == 93_735_472  # as its authors count them: 94 M


def test_weights_of_no_known_size_without_sizes_are_an_error(copied):
    copied.with_suffix(".json").unlink()
    assert refused(copied) == (
        f"models.segmenter: {copied} is none of sam_vit_b, sam_vit_l, sam_vit_h, "
        "and there is no weights.json beside it with the sizes of its network"
    )


def test_weights_of_another_network_are_an_error(copied):
    torch.save({"a": torch.ones(1)}, copied)
    assert f"{copied} is of another architecture: image_encoder.pos_embed is missing" in refused(copied)


def test_sizes_of_another_network_are_an_error(copied):
    sizes = copied.with_suffix(".json")
    sizes.write_text(json.dumps(json.loads(sizes.read_text()) | {"width": 64}))
    assert "is [32, 48, 1, 1], not [64, 48, 1, 1]" in refused(copied)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "{}", '{"image_size": 256}', "\0", '{"image_size": "a", "patch_size": 16, "width": 32}']
    + [json.dumps({"image_size": 256, "patch_size": 0, "width": 32})],
)
def test_damaged_sizes_are_an_error_that_names_them(copied, text):
    sizes = copied.with_suffix(".json")
    sizes.write_text(text)
    assert f"{sizes} does not describe a Segment Anything model: " in refused(copied)


@pytest.mark.parametrize("key, value", [("depth", "x"), ("num_heads", 5), ("heads", 2), ("embed_dim", None)])
def test_an_impossible_size_is_an_error_that_names_its_file(copied, key, value):
    sizes = copied.with_suffix(".json")
    content = json.loads(sizes.read_text())
    content["encoder"][key] = value
    sizes.write_text(json.dumps(content))
    assert str(copied.parent) in refused(copied)

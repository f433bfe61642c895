"""detector.py: words to boxes, from checkpoints in the format of GroundingDINO's own."""

import importlib
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from groundingdino.models import build_model
from groundingdino.models.GroundingDINO import ms_deform_attn
from groundingdino.util import inference
from groundingdino.util.slconfig import SLConfig
from PIL import Image
from safetensors.torch import save_file
from torchvision.ops import box_convert
from transformers import BertModel

import random_finders
import train_grounding
from clevam import detector
from clevam.detector import Detector
from clevam.errors import UserError
from clevam.states import read_state
from conftest import noise

CPU = torch.device("cpu")
PUBLISHED = ["GroundingDINO_SwinT_OGC", "GroundingDINO_SwinB_cfg"]


def load(folder: Path, weights: str = "weights.pth", config: str = "config.json") -> Detector:
    return Detector(str(folder / weights), str(folder / config), str(folder / "text"), CPU)


@pytest.fixture(scope="module")
def state(finders) -> dict:
    return read_state(str(finders / "grounding/weights.pth"), "models.detector")


@pytest.fixture(scope="module")
def detect(finders) -> Detector:
    return load(finders / "grounding")


@pytest.fixture
def copied(finders, tmp_path) -> Path:
    """A checkpoint in a folder of the test's own."""
    return shutil.copytree(finders / "grounding", tmp_path / "grounding")


def refused(folder: Path, **names: str) -> str:
    """The error that loading gives, one line that begins with the key."""
    with pytest.raises(UserError, match=r"^models\.detector.*$") as caught:
        load(folder, **names)
    return str(caught.value)


def same_weights(network: Detector, state: dict) -> bool:
    own = network.model.state_dict()
    return all(torch.equal(own[name], tensor.float()) for name, tensor in state.items() if tensor.is_floating_point())


# ---- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_configuration_is_read_as_what_running_it_gives(name):
    module = importlib.import_module(f"groundingdino.config.{name}")
    settings = detector.read_config(module.__file__)
    assert settings == {key: value for key, value in vars(module).items() if not key.startswith("__")}
    assert settings["hidden_dim"] == 256


@pytest.mark.parametrize(
    "line",
    [
        "__import__('os').mkdir({made!r})",
        "import os; os.mkdir({made!r})",
        "from os import mkdir",
        "x = __import__('os').mkdir({made!r})",
        "x = [1, __import__('os').mkdir({made!r})]",
        "x = f\"{{__import__('os').mkdir({made!r})}}\"",
        "x = (lambda: __import__('os').mkdir({made!r}))()",
        "x: __import__('os').mkdir({made!r}) = 1",
        "x = y",
        "x = 2 * 3",
        "x, y = 1, 2",
        "x[__import__('os').mkdir({made!r})] = 1",
        "def f(): pass",
        "if True: x = 1",
        "x = ",
        "\0",
        "(" * 1000,
    ],
)
def test_anything_but_plain_values_in_a_configuration_is_refused_and_never_run(tmp_path, line):
    path, made = tmp_path / "config.py", tmp_path / "made"
    path.write_text("a = 1\n" + line.format(made=str(made)) + "\n")
    with pytest.raises(UserError, match=rf"^models\.detector\.config: {path} cannot be read as plain settings: .*$"):
        detector.read_config(str(path))
    assert not made.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"3", b"null", b"\xff\xfe", b"[" * 100000, None])
def test_a_damaged_or_missing_configuration_is_named(copied, content):
    path = copied / "config.json"
    path.unlink() if content is None else path.write_bytes(content)
    assert f"models.detector.config: {path} cannot be read as plain settings: " in refused(copied)


@pytest.mark.parametrize(
    "change",
    [{"backbone": "resnet18"}, {"backbone": 5}, {"backbone": {"depth": 3}}, {"nheads": 7}, {"num_queries": "x"}, None],
    ids=str,
)
def test_impossible_or_missing_settings_are_an_error_that_names_the_file(copied, change):
    path = copied / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change if change else {}))
    assert f"models.detector.config: {path} does not describe a GroundingDINO: " in refused(copied)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_configuration_describes_a_network_of_its_size(finders, name, monkeypatch):
    """Without the time that random weights of 60 million numbers take, and without the BERT's 110 million."""
    for init in ("xavier_uniform_", "kaiming_uniform_", "normal_", "trunc_normal_"):
        monkeypatch.setattr(torch.nn.init, init, lambda tensor, *args, **options: tensor)
    settings = detector.read_config(importlib.import_module(f"groundingdino.config.{name}").__file__)
    network = detector.build(settings, *detector.read_text(str(finders / "grounding/text")))
    assert network.num_queries == 900
    assert len(network.transformer.decoder.layers) == 6
    assert network.backbone[0].num_features == ([96, 192, 384, 768] if "SwinT" in name else [128, 256, 512, 1024])


# ---- weights -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bare.pth", "model.pth", "module.pth", "w.safetensors"])
def test_weights_are_read_in_the_usual_formats(copied, state, name):
    stored = {f"module.{k}": v for k, v in state.items()} if name == "module.pth" else state
    if name.endswith(".safetensors"):
        save_file({k: v.clone() for k, v in stored.items()}, copied / name)  # some tensors share their memory
    else:
        torch.save(stored if name == "bare.pth" else {"model": stored}, copied / name)
    assert same_weights(load(copied, weights=name), state)


def test_the_berts_weights_are_among_the_detectors(copied, detect, state):
    assert sorted(p.name for p in (copied / "text").iterdir()) == ["config.json", "tokenizer_config.json", "vocab.txt"]
    own = detect.model.bert.state_dict()
    assert len(own) > 10
    assert all(torch.equal(tensor, state[f"bert.{name}"].float()) for name, tensor in own.items())


def test_what_published_files_hold_of_their_training_is_left_out(copied, state):
    extra = {"label_enc.weight": torch.ones(3, 256), "bert.embeddings.position_ids": torch.arange(512)[None]}
    torch.save({"model": state | extra}, copied / "weights.pth")
    assert same_weights(load(copied), state)


@pytest.mark.parametrize(
    ("change", "reason"),
    [(None, "is missing"), (torch.ones(3), "is [3], not [256]")],
)
def test_weights_of_another_network_are_an_error_that_names_a_tensor_and_the_file(copied, state, change, reason):
    name, path = "feat_map.bias", copied / "weights.pth"
    changed = {k: v for k, v in state.items() if k != name} | ({} if change is None else {name: change})
    torch.save({"model": changed}, path)
    assert refused(copied) == (
        f"models.detector: {path} is of another architecture: {name} {reason}; check what models.detector names"
    )


# ---- text --------------------------------------------------------------------------------------------------------


def test_a_missing_text_folder_is_named_and_never_looked_for_elsewhere(copied):
    shutil.rmtree(copied / "text")
    assert refused(copied) == f"models.detector.text: there is no folder {copied / 'text'}"


@pytest.mark.parametrize("name", ["config.json", "vocab.txt"])
@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_a_text_folder_with_a_file_missing_or_damaged_is_an_error(copied, name, harm):
    path = copied / "text" / name
    path.unlink() if harm == "missing" else path.write_bytes(b"\xff{")
    assert f"models.detector.text: {copied / 'text'} holds no BERT that can be read" in refused(copied)


@pytest.mark.parametrize(
    ("phrases", "read"),
    [
        (["a dog"], ["a dog"]),
        (["a dog", "the cat", "x"], ["a dog", "the cat", "x"]),
        (["A Dog", "THE cat"], ["a dog", "the cat"]),
        (["  a \t dog\n"], ["a dog"]),
        (["the dog's tail, red-striped"], ["the dog ' s tail, red - striped"]),
        (["a dog. a cat", "who?"], ["a dog a cat", "who"]),
        (["...a?.", "b"], ["a", "b"]),
        (["un café", "e\u0301le\u0301"], ["un cafe", "ele"]),
        (["\u0130stanbul", "b"], ["istanbul", "b"]),
        (["a\u00a0b"], ["a b"]),
        (["a 狗 b", "c"], ["a b", "c"]),
        (["[SEP] a [MASK]", "b"], ["sep a mask", "b"]),
        (["a", "a", "a"], ["a", "a", "a"]),
        (["a " * 100, "b"], [" ".join("a" * 100), "b"]),
    ],
)
def test_a_phrase_is_the_tokens_of_its_words(detect, phrases, read):
    caption, words = detect.caption(phrases)
    tokens = detect.model.tokenizer.tokenize(caption, add_special_tokens=True)
    assert [detect.model.tokenizer.convert_tokens_to_string([tokens[t] for t in own]) for own in words] == read
    assert tokens.count(".") == len(phrases)


@pytest.mark.parametrize("phrase", ["", "  ", ".", "?!", "\u200b", "狗", "🦊", "a " * 5000, "x" * 10000])
@pytest.mark.parametrize("before", [[], ["a dog"]])
def test_a_phrase_that_is_too_long_or_has_no_known_word_is_an_error_that_quotes_it(detect, before, phrase):
    with pytest.raises(UserError) as caught:
        detect.caption([*before, phrase, "a cat"])
    assert str(caught.value) == f"find: {phrase[:60]!r} is too long, or holds no word that the detector can read"


def test_the_last_token_that_the_network_sees_may_be_a_phrases_last(detect):
    assert detect.caption(["a " * 255])[1][0][-1] == 255
    with pytest.raises(UserError, match="is too long"):
        detect.caption(["a " * 256])


# ---- boxes -------------------------------------------------------------------------------------------------------


def test_boxes_and_scores_are_those_of_the_packages_own_way(finders, tmp_path):
    """A small network on the published Swin-T, through SLConfig, build_model and load_image, and here."""
    folder, config = tmp_path, tmp_path / "config.py"
    shutil.copytree(finders / "grounding/text", folder / "text")
    settings = detector.read_config(importlib.import_module(f"groundingdino.config.{PUBLISHED[0]}").__file__)
    settings |= {"enc_layers": 1, "dec_layers": 1, "dim_feedforward": 64, "num_queries": 30}
    config.write_text("".join(f"{k} = {v!r}\n" for k, v in settings.items()))
    Image.fromarray(noise(60, 120)).resize((240, 120)).save(folder / "picture.png")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        BertModel(detector.read_text(str(folder / "text"))[1]).save_pretrained(folder / "text")
        args = SLConfig.fromfile(str(config))
        args.text_encoder_type, args.use_checkpoint, args.use_transformer_ckpt = str(folder / "text"), False, False
        theirs = build_model(args).eval()
    torch.save({"model": theirs.state_dict()}, folder / "weights.pth")

    ours = load(folder, config="config.py")
    picture, pixels = inference.load_image(str(folder / "picture.png"))
    with torch.no_grad():
        out = theirs(pixels[None], captions=[inference.preprocess_caption("a dog . the cat")])
    boxes, scores = ours(picture, ["a dog", "the cat"])
    logits = out["pred_logits"][0].sigmoid()
    assert pixels.shape == (3, 666, 1332)  # not 800, for the long side may have 1333 at most
    assert torch.equal(scores, torch.stack([logits[:, 1:5].amax(1), logits[:, 6:10].amax(1)]))
    corners = box_convert(out["pred_boxes"][0], "cxcywh", "xyxy").clamp(0, 1)
    torch.testing.assert_close(boxes, corners * torch.tensor([240, 120, 240, 120]), rtol=0, atol=1e-4)
    assert not torch.isclose(scores[0], scores[1]).all()


def test_boxes_and_scores_of_a_picture(detect):
    boxes, scores = detect(noise(90, 120), ["a dog", "the cat"])
    queries = random_finders.GROUNDING["num_queries"]
    assert (boxes.shape, scores.shape) == ((queries, 4), (2, queries))
    assert (boxes.dtype, scores.dtype) == (torch.float32, torch.float32)
    assert scores.min() >= 0 and scores.max() <= 1 and scores.std() > 0.01
    assert (boxes[:, :2] <= boxes[:, 2:]).all()


@pytest.mark.parametrize("height, width", [(90, 120), (200, 30), (1, 64), (64, 1), (1, 1)])
def test_boxes_lie_inside_a_picture_of_any_shape(detect, height, width):
    boxes, _ = detect(noise(height, width), ["a dog"])
    assert boxes.isfinite().all() and boxes.min() >= 0
    assert boxes[:, ::2].max() <= width and boxes[:, 1::2].max() <= height
    assert boxes[:, ::2].max() > width / 2 and boxes[:, 1::2].max() > height / 2


def test_boxes_grow_with_the_picture(detect):
    small, large = (np.full((size, size * 3 // 2, 3), (200, 40, 90), np.uint8) for size in (60, 180))
    torch.testing.assert_close(detect(large, ["a dog"])[0], 3 * detect(small, ["a dog"])[0])


def test_the_order_of_phrases_does_not_matter(detect):
    phrases, order = ["a dog", "the cat", "sun"], [2, 0, 1]
    boxes, scores = detect(noise(90, 120), phrases)
    turned = detect(noise(90, 120), [phrases[i] for i in order])
    torch.testing.assert_close(turned[0], boxes)
    torch.testing.assert_close(turned[1], scores[order], rtol=0, atol=1e-4)
    assert not torch.isclose(scores[0], scores[1], atol=1e-2).all()


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((90, 120), (256, 341)),
        ((120, 90), (341, 256)),
        ((256, 256), (256, 256)),
        ((1080, 1920), (256, 455)),
        ((50, 300), (85, 510)),
        ((300, 50), (510, 85)),
        ((1, 64), (8, 512)),
    ],
)
def test_the_network_sees_the_short_side_at_its_size_but_for_long_pictures(detect, monkeypatch, size, seen):
    shapes = []
    monkeypatch.setattr(detect.model.backbone[0], "forward", stop := Stop(shapes))
    with pytest.raises(Stopped):
        detect(noise(*size), ["a dog"])
    assert stop.shapes == [(1, 3, *seen)]


class Stopped(Exception):
    pass


class Stop:
    """In place of the backbone: notes what it is given and goes no further."""

    def __init__(self, shapes: list) -> None:
        self.shapes = shapes

    def __call__(self, samples) -> None:
        self.shapes.append(tuple(samples.tensors.shape))
        raise Stopped


def test_deformable_attention_is_the_packages_pytorch_path(detect, monkeypatch):
    """The wheel holds no compiled operator that would have to fit torch and CUDA."""
    assert find_spec("groundingdino._C") is None
    calls, original = [], ms_deform_attn.multi_scale_deformable_attn_pytorch
    monkeypatch.setattr(
        ms_deform_attn, "multi_scale_deformable_attn_pytorch", lambda *args: calls.append(1) or original(*args)
    )
    detect(noise(30, 40), ["a dog"])
    assert len(calls) == train_grounding.GROUNDING["enc_layers"] + random_finders.GROUNDING["dec_layers"]

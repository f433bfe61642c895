"""What networks see: against what their own packages say, on random weights."""

import eyes
import numpy as np
import pytest
import torch
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from transformers import CLIPModel, CLIPProcessor

import clips
from clevam import measure, perceive, proxies
from clevam.addresses import PUBLISHED
from clevam.errors import UserError
from clevam.figures import ALL, LEARNT, WEIGHTS
from clevam.files import read_json
from reported import index_of, painted, squares

CPU = torch.device("cpu")
SQUEEZENET = "SqueezeNet1_1_Weights.IMAGENET1K_V1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eyes")
    eyes.write(folder)
    return folder


@pytest.fixture
def lpips(folder, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    return perceive.Lpips(SQUEEZENET, CPU)


@pytest.fixture
def clip(folder):
    return perceive.Clip(str(folder / "clip"), ["a green ball", "a star"], CPU)


def frame(number, before, after):
    return measure.Frame(number, number, ([], []), before, after)


@pytest.fixture
def pictures():
    """Two pictures of 96 x 72, and the labels of two squares."""
    labels = np.zeros((72, 96), np.uint8)
    labels[20:40, 10:30], labels[30:60, 50:80] = 1, 2
    rng = np.random.default_rng(0)
    return *(rng.integers(0, 256, (72, 96, 3), np.uint8) for _ in range(2)), labels


def test_lpips_sees_what_is_outside_of_a_alone(lpips, pictures):
    before, other, labels = pictures
    inside = np.where(labels[..., None] > 0, other, before)
    assert lpips.look(frame(0, before, inside), labels) == {"lpips": 0}
    assert lpips.look(frame(0, before, other), labels)["lpips"] > 1


def test_lpips_is_that_of_torchmetrics_in_thousandths(lpips, pictures):
    before, after, labels = pictures
    own = LearnedPerceptualImagePatchSimilarity(net_type="squeeze", normalize=True)
    blank = (np.float32(picture * (labels == 0)[..., None]) / 255 for picture in (before, after))
    expected = own(*(torch.from_numpy(picture).permute(2, 0, 1)[None] for picture in blank))
    assert lpips.look(frame(8, before, after), labels)["lpips"] == pytest.approx(1000 * float(expected), rel=1e-5)


def test_lpips_looks_at_every_eighth_frame_and_at_none_that_is_too_small(lpips, pictures):
    before, after, labels = pictures
    assert [bool(lpips.look(frame(n, before, after), labels)) for n in range(10)] == [n % 8 == 0 for n in range(10)]
    assert lpips.look(frame(0, before[:40], after[:40]), labels[:40]) == {}


def test_every_network_for_lpips_that_is_published_is_known():
    backbones = [name for name in PUBLISHED if not name.startswith("Raft")]
    known = [[net for net in perceive.LPIPS_NETWORKS if name.startswith(net)] for name in backbones]
    assert sorted(sum(known, [])) == sorted(perceive.LPIPS_NETWORKS)


def test_clip_t_is_the_cosine_that_clip_itself_gives(clip, folder, pictures):
    _, after, labels = pictures
    model, processor = (kind.from_pretrained(folder / "clip") for kind in (CLIPModel, CLIPProcessor))
    parts = [after, after[17:43, 7:33], after[26:64, 46:84]]  # an eighth of 20 and of 30 pixels around
    words = ["a green ball, a star", "a green ball", "a star"]
    with torch.no_grad():
        given = processor(text=words, images=parts, padding=True, return_tensors="pt")
        cosines = model(**given).logits_per_image / model.logit_scale.exp()
    told = clip.look(frame(0, after, after), labels)
    assert told["clip_text"] == pytest.approx(float(cosines[0, 0]), abs=1e-5)
    assert told["clip_text_region"] == pytest.approx(float(cosines[1, 1] + cosines[2, 2]) / 2, abs=1e-5)


def test_clip_f_is_of_frames_in_a_row(clip, pictures):
    one, other, labels = pictures
    told = [clip.look(frame(n, p, p), labels).get("clip_frames") for n, p in enumerate([one, one, other])]
    assert told[0] is None
    assert told[1] == pytest.approx(1, abs=1e-6)
    assert told[2] < 0.999


def test_where_b_is_not_its_words_are_not_looked_for(clip, pictures):
    _, after, labels = pictures
    assert "clip_text_region" not in clip.look(frame(0, after, after), np.zeros_like(labels))


def test_a_whole_clip_is_written_as_a_report_reads_it(tmp_path, lpips, clip):
    source, masks = squares(10)
    result = painted(source, masks, (20, 160, 60))
    paths = [clips.write_clip(tmp_path / f"{name}.mp4", p, qp="0") for name, p in (("a", source), ("b", result))]
    where = measure.Masks({}, {}, 1000, 1, (96, 64))
    index = index_of(paths[0], 10)
    target = tmp_path / "perceived.json"
    perceive.perceive(*map(str, paths), str(target), index=index, masks=where, eyes=[lpips, clip])
    told = read_json(target)
    assert set(told["series"]) == set(told["summary"]) == set(LEARNT)
    assert [n for n, value in enumerate(told["series"]["lpips"]) if value is not None] == [0, 8]
    assert told["summary"]["clip_frames"]["worst"] <= told["summary"]["clip_frames"]["mean"] <= 1


def test_weights_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    broken = tmp_path / "hub/checkpoints/squeezenet1_1-b8a52dc0.pth"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"half a file")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=rf"models.lpips: {SQUEEZENET}: .*damaged"):
        perceive.Lpips(SQUEEZENET, CPU)
    with pytest.raises(UserError, match="models.clip: .* is no CLIP"):
        perceive.Clip(str(tmp_path), ["a star"], CPU)


def test_each_learnt_metric_says_which_weights_it_takes():
    assert [name for names, _ in WEIGHTS.values() for name in names] == list(LEARNT)
    assert all(ALL[name].definition.endswith(".") for name in LEARNT)


def test_pictures_are_made_small_before_lpips(lpips, monkeypatch):
    seen = []
    monkeypatch.setattr(lpips, "measure", lambda *pair: seen.append([tuple(p.shape) for p in pair]) or 0.0)
    large = np.zeros((400, 1024, 3), np.uint8)
    lpips.look(frame(0, large, large), np.zeros((400, 1024), np.uint8))
    assert seen == [[(1, 3, 200, 512)] * 2]
    assert proxies.shrunk(large, perceive.LONGEST).shape == (200, 512, 3)

"""fetch.py: what is downloaded, from where it goes on, and what is said when it does not."""

import errno
import hashlib
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from huggingface_hub import constants

from clevam import fetch as module
from clevam import hub as places
from clevam.errors import UserError
from clevam.fetch import fetch

ROOT = Path(__file__).resolve().parents[3]
RAFT = "Raft_Small_Weights.C_T_V2"
WEIGHTS = bytes(range(256)) * 40  # 10240 bytes


def segmenter(name="o/sam@main/sam.pth"):
    return {"models.segmenter": name}


@pytest.fixture
def sam(hub) -> str:
    """A repository o/sam with weights; its commit."""
    return hub.commit("o/sam", {"sam.pth": WEIGHTS, "README.md": b"no", "other.pth": b"no"})


def located(key, name, variant=None) -> Path:
    return places.locate(name, key, [ROOT], variant)


def complaint(models, **options) -> str:
    """What the user is told, which is one line."""
    with pytest.raises(UserError) as caught:
        fetch(models, [ROOT], **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_was_fetched_is_found_and_holds_the_same_bytes(hub):
    hub.commit("o/sd", ROOT / "demo/models/diffusion")
    hub.commit("o/gd", ROOT / "demo/models/grounding")
    models = {"models.diffusion": "o/sd", "models.detector.text": "o/gd@main/text"}
    for key, name in models.items():
        with pytest.raises(UserError, match="`snakemake fetch --cores 1 --configfile <yours>` gets it"):
            located(key, name)
    fetch(models, [ROOT])
    for key, source in (("models.diffusion", "diffusion"), ("models.detector.text", "grounding/text")):
        wanted, found = ROOT / "demo/models" / source, located(key, models[key])
        files = [file.relative_to(wanted) for file in wanted.rglob("*") if file.is_file()]
        assert all((found / file).read_bytes() == (wanted / file).read_bytes() for file in files)


def test_only_what_is_needed_is_downloaded_and_that_once(hub, sam):
    hub.repositories["o/sam"].commits[sam]["sam.json"] = b"{}"
    fetch(segmenter(), [ROOT])
    assert [len(hub.downloads(file)) for file in ("sam.pth", "sam.json", "README.md", "other.pth")] == [1, 1, 0, 0]
    fetch(segmenter(), [ROOT])
    assert len(hub.downloads("sam.pth")) == 1


def test_models_of_one_repository_are_looked_up_once(hub):
    hub.commit("o/gd", ROOT / "demo/models/grounding")
    models = {"models.detector.weights": "o/gd@main/weights.pth", "models.detector.config": "o/gd@main/config.json"}
    fetch(models, [ROOT])
    assert [path for _, path, _ in hub.requests].count("/api/models/o/gd/revision/main") == 1


def test_what_is_on_this_machine_needs_no_network(hub, capfd):
    fetch(segmenter("demo/models/segmentation/weights.pth"), [ROOT])
    assert hub.requests == []
    assert f"models.segmenter: {ROOT}/demo/models/segmentation/weights.pth, on this machine" in capfd.readouterr().err


def test_an_incomplete_model_is_not_found(hub):
    hub.commit("o/sd", ROOT / "demo/models/diffusion")
    fetch({"models.diffusion": "o/sd"}, [ROOT])
    (located("models.diffusion", "o/sd") / "unet/config.json").unlink()
    with pytest.raises(UserError, match="o/sd is not downloaded"):
        located("models.diffusion", "o/sd")


def test_another_variant_is_another_download(hub):
    plain = "unet/diffusion_pytorch_model.safetensors"
    half = plain.replace(".safe", ".fp16.safe")
    repository = hub.repositories
    commit = hub.commit("o/sd", ROOT / "demo/models/diffusion")
    files = repository["o/sd"].commits[commit]
    files[half] = files[plain]
    fetch({"models.diffusion": "o/sd"}, [ROOT])
    with pytest.raises(UserError, match="not downloaded"):
        located("models.diffusion", "o/sd", "fp16")
    fetch({"models.diffusion": "o/sd"}, [ROOT], "fp16")
    assert (located("models.diffusion", "o/sd", "fp16") / half).exists()


def test_a_download_goes_on_within_a_run_and_after_it(hub, sam):
    hub.limits["sam.pth"] = 4500
    assert "cannot be reached" in complaint(segmenter())
    first, *later = hub.downloads("sam.pth")
    assert first is None
    assert set(later) == {"bytes=4000-"}
    del hub.limits["sam.pth"]
    hub.requests.clear()
    fetch(segmenter(), [ROOT])
    assert hub.downloads("sam.pth") == ["bytes=4000-"]
    assert located("models.segmenter", "o/sam@main/sam.pth").read_bytes() == WEIGHTS


def test_leftovers_that_cannot_be_of_the_file_are_dropped(hub, sam):
    part = Path(constants.HF_HUB_CACHE, "models--o--sam/blobs", f"{hashlib.sha256(WEIGHTS).hexdigest()}.incomplete")
    part.parent.mkdir(parents=True)
    part.write_bytes(WEIGHTS + b"more")
    fetch(segmenter(), [ROOT])
    assert located("models.segmenter", "o/sam@main/sam.pth").read_bytes() == WEIGHTS


@pytest.mark.parametrize(("file", "how"), [("sam.pth", "sha256"), ("sam.json", "git-sha1")])
def test_a_file_that_comes_damaged_is_named_and_deleted_and_comes_whole_the_next_time(hub, sam, file, how):
    hub.repositories["o/sam"].commits[sam]["sam.json"] = b"{}"
    hub.damaged.add(file)
    message = complaint(segmenter())
    assert message.startswith(f"models.segmenter: {file} of o/sam damaged ({how} ")
    assert message.endswith("and deleted; fetch again")
    hub.damaged.clear()
    hub.requests.clear()
    fetch(segmenter(), [ROOT])
    assert [len(hub.downloads(name)) for name in ("sam.pth", "sam.json")] == [file == "sam.pth", file == "sam.json"]


def test_a_file_that_was_damaged_since_is_noticed(hub, sam):
    fetch(segmenter(), [ROOT])
    path = located("models.segmenter", "o/sam@main/sam.pth")
    path.write_bytes(b"!" + WEIGHTS[1:])
    assert "sam.pth of o/sam damaged" in complaint(segmenter())
    assert not path.exists()


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"license": "mit"}, "licence: mit"),
        ({"license": "other", "license_name": "openrail++"}, "licence: openrail++"),
        ({}, "licence: none given"),
        (None, "licence: none given"),
    ],
)
def test_commit_licence_and_size_are_said_before_anything_is_downloaded(hub, sam, capfd, card, said):
    hub.repositories["o/sam"].card = card
    hub.repositories["o/sam"].refused = (403, "")  # so that nothing is
    complaint(segmenter())
    text = capfd.readouterr().err
    assert f"models.segmenter: o/sam, commit {sam}\n    {said}, see {hub.url}/o/sam\n" in text
    assert "files: 1, 10.2kB, to download: 10.2kB" in text


def test_a_revision_that_can_move_is_said_with_the_commit_to_write_instead(hub, sam, capfd):
    fetch(segmenter(), [ROOT])
    pinned = f"o/sam@{sam}/sam.pth"
    assert f"to stay with this commit, write models.segmenter: {pinned}\n" in capfd.readouterr().err
    fetch(segmenter(pinned), [ROOT])
    assert "to stay" not in capfd.readouterr().err


def test_a_pin_stays_where_a_branch_moves(hub, sam):
    pinned = f"o/sam@{sam}/sam.pth"
    for name in ("o/sam@main/sam.pth", pinned):
        fetch(segmenter(name), [ROOT])
    hub.commit("o/sam", {"sam.pth": b"new"})
    assert located("models.segmenter", "o/sam@main/sam.pth").read_bytes() == WEIGHTS
    for name, content in (("o/sam@main/sam.pth", b"new"), (pinned, WEIGHTS)):
        fetch(segmenter(name), [ROOT])
        assert located("models.segmenter", name).read_bytes() == content


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x/y@main/z.pth", "there is no {hub}/x/y, or it is not public; check the name, or log in"),
        ("o/sam@v9/sam.pth", "there is no such revision of {hub}/o/sam"),
        ("o/sam@main/sma.pth", "o/sam@main has no sma.pth; did you mean sam.pth?"),
        ("demo/nothing.pth/at/all", "there is no demo/nothing.pth/at/all, seen from "),
    ],
)
def test_a_wrong_name_is_one_line(hub, sam, name, message):
    assert complaint(segmenter(name)).startswith(f"models.segmenter: {message.format(hub=hub.url)}")


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, "GatedRepo", "accept its licence at {page}, log in with `hf auth login` or set HF_TOKEN, and fetch"),
        (401, "", "{page} is not open to this login; log in with `hf auth login` or set HF_TOKEN, of an account"),
        (403, "", "{page} is not open to this login; log in with `hf auth login` or set HF_TOKEN, of an account"),
        (418, "", "{page}/resolve/{commit}/sam.pth was answered with 418"),
        (503, "", "{page} cannot be reached (Server error '503 Service Unavailable' for url "),
    ],
)
def test_a_refusal_is_one_line_with_the_cure(hub, sam, status, code, message):
    hub.repositories["o/sam"].refused = (status, code)
    assert complaint(segmenter()).startswith(f"models.segmenter: {message.format(page=f'{hub.url}/o/sam', commit=sam)}")


def test_nothing_is_downloaded_while_a_name_is_wrong(hub, sam):
    complaint(segmenter() | {"models.diffusion": "x/y"})
    assert hub.downloads("sam.pth") == []


def test_a_hub_that_cannot_be_reached_is_one_line(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    message = complaint(segmenter())
    assert message.startswith("models.segmenter: http://127.0.0.1:9/o/sam cannot be reached (")
    assert message.endswith("; check the network and HF_ENDPOINT, and fetch again to go on")


def test_offline_is_one_line(hub, sam, monkeypatch):
    fetch(segmenter(), [ROOT])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert complaint(segmenter()).startswith("models.segmenter: HF_HUB_OFFLINE is set")
    fetch(segmenter("demo/models/segmentation/weights.pth"), [ROOT])


def test_a_full_disk_is_one_line(hub, sam, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(len(WEIGHTS) - 1))
    assert re.match(r"fetch: 10\.2kB to download, but the disk of /.* has room for 10\.2kB; ", complaint(segmenter()))
    assert hub.downloads("sam.pth") == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(len(WEIGHTS)))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "http_get", full)
    assert complaint(segmenter()).startswith("models.segmenter: the disk is full; make room")


@pytest.fixture
def raft(hub, monkeypatch) -> str:
    """The file of RAFT's weights on the server."""
    name = f"raft-{hashlib.sha256(WEIGHTS).hexdigest()[:8]}.pth"
    monkeypatch.setitem(module.PUBLISHED, RAFT, name)
    hub.files[name] = WEIGHTS
    return name


def test_torchvisions_weights_go_where_torch_hub_looks(hub, raft, tmp_path):
    fetch({"models.flow": RAFT}, [ROOT])
    path = located("models.flow", RAFT)
    assert path == tmp_path / "torch/hub/checkpoints" / raft
    assert path.read_bytes() == WEIGHTS


def test_torchvisions_weights_go_on_and_are_compared_with_their_name(hub, raft):
    hub.limits[raft] = 4500
    assert complaint({"models.flow": RAFT}).startswith(f"models.flow: {hub.url}/files/{raft} cannot be reached (")
    hub.limits.clear()
    hub.requests.clear()
    fetch({"models.flow": RAFT}, [ROOT])
    assert hub.downloads(raft) == ["bytes=4000-"]
    path = located("models.flow", RAFT)
    path.write_bytes(b"!" + WEIGHTS[1:])
    assert complaint({"models.flow": RAFT}).endswith("and deleted; fetch again")
    assert not path.exists()


def test_torchvisions_server_is_not_shown_who_is_asking(hub, raft, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch({"models.flow": RAFT}, [ROOT])
    assert hub.logins == {None}

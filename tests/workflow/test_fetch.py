"""`snakemake fetch`: a run by words on an empty machine, from a hub on this one."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from hub_server import LARGE, Hub

from conftest import ROOT, Project, Ran, edit
from film import write_clip
from world import Scene

CONFIG = {
    "videos": {"ball": {"path": "clip.mp4", "find": "the red circle", "replace": "a green star"}},
    "masks": {"threshold": 0},
    "keyframes": {"frames": [0]},
    "edit": {"steps": 1},
    "models": {
        "diffusion": "demo/diffusion",
        "detector": {
            "weights": "demo/grounding@main/weights.pth",
            "config": "demo/grounding@main/config.json",
            "text": "demo/grounding@main/text",
        },
        "segmenter": "demo/segmentation@main/weights.pth",
    },
}

REPORT = {"measure": 1, "report": 1, "summary": 1}


@dataclass
class Machine:
    """A user's folder on a machine with a cache of its own, and what each call on the way said."""

    project: Project
    cache: Path
    before: Ran
    fetched: Ran
    offline: Ran


def serve(hub: Hub, changed: str = "") -> None:
    """The demo's checkpoints as repositories, with one byte of the repository `changed`'s weights changed."""
    for name in ("diffusion", "grounding", "segmentation"):
        commit = hub.commit(f"demo/{name}", ROOT / "demo" / "models" / name)
        if name == changed:
            files = hub.repositories[f"demo/{name}"].commits[commit]
            weights = next(file for file in files if file.endswith((".safetensors", ".pth")))
            hub.commit(f"demo/{name}", files | {weights: files[weights][:-1] + bytes([files[weights][-1] ^ 1])})


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Machine:
    """Run without weights, fetch them, and run again with the hub gone."""
    folder = tmp_path_factory.mktemp("fetch")
    project = Project(folder / "project", CONFIG)
    project.folder.mkdir()
    write_clip(Scene.random(903385, size=(64, 96), frames=6), project / "clip.mp4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(folder / "cache"))
        before = project()
        with Hub() as hub:
            serve(hub)
            patch.setenv("HF_ENDPOINT", hub.url)
            fetched = project("fetch")
        patch.setenv("HF_HUB_OFFLINE", "1")
        offline = project()
    return Machine(project, folder / "cache", before, fetched, offline)


def test_a_run_without_its_weights_stops_with_the_command_that_gets_them(machine):
    assert (machine.before.status, machine.before.jobs) == (1, {})
    errors = [line for line in machine.before.text.splitlines() if line.startswith("error: ")]
    assert errors == [
        "error: models.diffusion: there is no folder demo/diffusion here, and demo/diffusion is not downloaded; "
        "`snakemake fetch --cores 1 --configfile <yours>` gets it"
    ]


def test_fetch_downloads_what_the_run_needs_and_shows_it(machine):
    assert machine.fetched.status == 0, machine.fetched.text
    for line in (
        "models.diffusion: demo/diffusion, commit ",
        "models.detector.weights, models.detector.config, models.detector.text: demo/grounding, commit ",
        "models.segmenter: demo/segmentation, commit ",
        "licence: apache-2.0",
    ):
        assert line in machine.fetched.text
    # At the terminal, live, and not kept back for the log.
    assert not (machine.project / "logs/fetch.log").read_text()


def test_after_it_everything_runs_with_no_hub(machine):
    assert machine.offline.status == 0, machine.offline.text
    assert (machine.project / "out/ball.mp4").stat().st_size > 0
    assert machine.offline.jobs["candidates"] == 1


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ("", {}),
        ("diffusion", {"reference": 1, "edit": 1, "edited": 2, "stretch": 1, "out": 1} | REPORT),
        ("grounding", {"candidates": 1, "choose": 1, "summary": 1}),  # a checkpoint: then what it changes
    ],
)
def test_weights_that_were_replaced_on_the_hub_re_run_what_loads_them(machine, tmp_path, monkeypatch, changed, again):
    project = machine.project.copy(tmp_path / "project")
    shutil.copytree(machine.cache, tmp_path / "cache", symlinks=True)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    with Hub() as hub:
        serve(hub, changed)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        fetched = project("fetch")
    assert fetched.status == 0, fetched.text
    assert project.plan() == again


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        ({"masks": {"threshold": 0.5}}, {"choose": 1}),
        ({"masks": {"pick": "leftmost"}}, {"choose": 1}),
        (edit(find="the cat on the left"), {"candidates": 1, "choose": 1}),
        ({"masks": {"dilate": 3, "shape": "loose"}}, {"masks": 1, "mask": 2, "plan": 1}),
    ],
    ids=["threshold", "pick", "words", "shape"],
)
def test_only_other_words_look_for_a_again(machine, monkeypatch, change, jobs):
    monkeypatch.setenv("HF_HOME", str(machine.cache))
    planned = machine.project.plan(**change)
    assert {rule: planned[rule] for rule in ("candidates", "choose", "masks", "mask", "plan") if planned[rule]} == jobs
    assert not {"keyframes", "extract", "keyframe"} & planned.keys()


def test_two_projects_at_a_time_share_one_cache(machine, tmp_path, monkeypatch):
    projects = [Project(tmp_path / name, CONFIG) for name in ("one", "other")]
    for project in projects:
        project.folder.mkdir()
        shutil.copy(machine.project / "clip.mp4", project / "clip.mp4")

    def both(*args: str) -> None:
        with ThreadPoolExecutor() as pool:
            for ran in pool.map(lambda project: project(*args), projects):
                assert ran.status == 0, ran.text

    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    with Hub() as hub:
        serve(hub)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        both("fetch")
    downloads = [path for method, path, _ in hub.requests if method == "GET" and path.endswith(LARGE)]
    assert downloads and len(downloads) == len(set(downloads))  # neither waited in vain, neither fetched it again
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    both()
    assert {(project / "out/ball.mp4").read_bytes() for project in projects} == {
        (machine.project / "out/ball.mp4").read_bytes()
    }

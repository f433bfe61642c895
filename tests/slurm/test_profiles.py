"""What the profiles say, without a Slurm: they hold what they replace, and submit few jobs."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from conftest import CONFIG, ROOT, WITH_SLURM, Project

KEYFRAMES = [f"{12 * n:06d}" for n in range(200)]  # as the default has them, so in 50 blocks of 48 frames
BLOCKS = {f"{block:04d}": KEYFRAMES[4 * block : 4 * block + 4] for block in range(50)}

# How many jobs are submitted as each checkpoint is passed; a hundred more, of a second each, run beside Snakemake.
SUBMITTED = [
    {"keyframes": 1},
    {"extract": 4, "candidates": 7},
    {"masks": 4},
    {"invert": 8, "reference": 1, "edit": 7, "flow": 5, "carried": 5, "stretch": 3, "out": 1},
]
NOT_SUBMITTED = {"keyframe", "mask", "edited", "choose", "plan"}


def profile(name):
    return yaml.safe_load((ROOT / "profiles" / name / "profile.yaml").read_text())


@pytest.mark.parametrize("name", ["slurm", "slurm-gres"])
def test_a_profile_holds_what_is_needed_of_the_default_which_it_replaces(name):
    default = profile("default")
    assert default.pop("resources") == {"gpu": 1}  # on one machine: jobs at a time
    assert default.items() <= profile(name).items()


def test_the_profiles_differ_only_in_how_a_gpu_is_asked_for():
    gpus, generic = profile("slurm"), profile("slurm-gres")
    for key in ("resources", "set-resource-scopes"):
        gpus.pop(key)
    assert generic.pop("set-threads") == {"candidates": 4}
    assert generic.pop("slurm-partition-config") == f"../slurm/{gpus.pop('slurm-partition-config')}"
    asked = generic.pop("set-resources")
    for resources in asked.values():
        if "gres" in resources:
            assert resources.pop("gpu") == 0
            assert "gpu:1" in resources.pop("gres")
    assert {rule: resources for rule, resources in asked.items() if resources} == gpus.pop("set-resources")
    assert generic == gpus


def test_the_other_profile_names_every_rule_that_may_need_a_gpu():
    text = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    rules = re.findall(r"^(?:rule|checkpoint) (\w+):\n((?:[ \n].*\n|\n)*)", text, re.M)
    need = {name for name, body in rules if "on_gpu(" in body}
    assert need == {rule for rule, asked in profile("slurm-gres")["set-resources"].items() if "gres" in asked}


def submitted(text):
    """The jobs of a dry run that go to the cluster: groups, and what is in none. Each says its rule first."""
    groups = re.findall(r"Group job ([a-z]+)_\S* \(", text)
    alone = re.findall(r"^Job \d+: (\w+): ", text, re.M)  # those in groups are indented
    return {rule: n for rule, n in Counter(groups + alone).items() if rule not in NOT_SUBMITTED}


def finish(folder: Path, stage: int) -> None:
    """Put in place what is known once the checkpoint of this number is passed: files of no content, but in order."""
    if stage == 1:
        source = {"sha256": "0", "path": "clip.mp4"}
        index = dict(
            keyframes=KEYFRAMES, blocks=BLOCKS, pts=list(range(2400)), segments=[[0, 2399]], reach={}, source=source
        )
        write(folder / "keyframes/ball/index.json", index)
    elif stage == 2:
        hand_out(folder, "keyframes")
        for block in BLOCKS:
            (folder / "work/candidates/ball" / block).mkdir(parents=True)
        told = {idx: [{"alarms": [], "chosen": [0]}] for idx in KEYFRAMES}
        write(folder / "masks/ball/masks.json", {"keyframes": told})
    elif stage == 3:
        hand_out(folder, "masks")
        crops = {idx: {"box": [0, 0, 64, 64], "work": [64, 64]} for idx in KEYFRAMES}
        write(folder / "plan/ball.json", {"reference": KEYFRAMES[0], "crops": crops, "motion": [], "regions": 1})


def hand_out(folder: Path, stage: str) -> None:
    for block, names in BLOCKS.items():
        (folder / "work" / stage / "ball" / block).mkdir(parents=True)
        for name in names:
            write(folder / stage / "ball" / f"{name}.png", None)


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_a_video_with_200_keyframes_submits_at_most_60_jobs(tmp_path):
    # The report is one job more, `measure`; a dry run shows it from the first.
    inverted = CONFIG | {"edit": {"start": "inversion"}, "report": {"enabled": False}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(inverted))
    write(tmp_path / "clip.mp4", None)
    counted = []
    for stage in range(4):
        finish(tmp_path, stage)
        text = Project(tmp_path)(WITH_SLURM, "--workflow-profile", ROOT / "profiles/slurm", "--dry-run")
        counted.append(submitted(text))
    assert counted == SUBMITTED
    assert sum(map(sum, map(dict.values, counted))) < 60

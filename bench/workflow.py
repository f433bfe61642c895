"""bench-workflow: what Snakemake itself costs.

The demo through Snakemake beside the same stages in one warm process per environment; what it takes to find that
nothing is to be done, of one video and of many; and what a new prompt costs where there are nine other edits. Where
only the planning is timed, the finished results were made by stages that are played (tests/workflow/rehearsal.py).
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from harness import ROOT, Figure, arguments, report

from demo import COLD, SNAKEMAKE

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/workflow")]

CONDA = ROOT / ".snakemake" / "conda"
SMALL = {"path": str(ROOT / "demo/clip.mp4"), "find": "the red circle", "range": [0, 0.5]}
BALL = SMALL | {"masks": {"method": "files", "path": str(ROOT / "demo/masks.mkv")}}


def main() -> int:
    args = arguments(__doc__)
    subprocess.run([SNAKEMAKE, "--cores", "2", "--quiet", "all", "--", "environments"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        figures = planning(Path(folder), 10 if args.quick else 100, 50)
        figures += one_more_edit(Path(folder) / "edits")
        if not args.quick:
            figures += demo(Path(folder) / "demo")
    return report("workflow", figures)


def planning(folder: Path, videos: int, keyframes: int) -> list[Figure]:
    """Seconds until nothing is found to be done, of one video and of many."""
    from rehearsal import Rehearsal
    from stage import Stage, copy_workflow

    rehearsal, figures = Rehearsal(), []
    for count, name, target in ((1, "no-op of one video", 3), (videos, f"no-op of {videos} x {keyframes}", 25)):
        clips = {f"v{n:03d}": {"path": f"v{n:03d}.mp4", "find": "it", "replace": "a star"} for n in range(count)}
        names = list(clips)
        config = {"videos": clips, "keyframes": {"frames": [round(k * 59 / (keyframes - 1)) for k in range(keyframes)]}}
        stage = Stage(rehearsal, folder / f"planning-{count}", config)
        stage.project.mkdir(parents=True)
        for clip in clips:
            (stage.project / f"{clip}.mp4").write_text(clip)
        copy_workflow(stage.tree)
        (stage.tree / "demo").symlink_to(ROOT / "demo")
        # Some at a time: what Snakemake does whenever a checkpoint has run takes the longer the more videos it plans.
        for some in [*(names[n : n + 10] for n in range(0, count, 10)), names]:
            stage.config = config | {"videos": {name: clips[name] for name in some}}
            stage.configure()
            made = stage()
            assert made.status == 0, made.text
        command = [SNAKEMAKE, "--snakefile", stage.tree / "Snakefile", "--configfile", "config.yaml", "--cores", "2"]
        seconds = min(run([*command, "--dry-run"], stage.project) for _ in range(3))
        figures.append(Figure(name, seconds, "s", f"<= {target}"))
    rehearsal.close()
    return figures


def one_more_edit(folder: Path) -> list[Figure]:
    """A new prompt on one of ten edits, over that edit alone: both beside finished masks and motion."""
    seconds = {}
    for name, count in (("alone", 1), ("of ten", 10)):
        project, there = folder / name, {f"e{n}": {"replace": f"a green star {n}"} for n in range(count)}
        config = {"videos": {"ball": BALL | {"edits": there}}, "edit": {"steps": 10}}
        go(project, config)
        there["e0"]["replace"] = "a yellow moon"
        seconds[name] = go(project, config)
    return [
        Figure("a new prompt, one edit", seconds["alone"], "s"),
        Figure("a new prompt on one of ten over that", seconds["of ten"] / seconds["alone"], "x", "<= 1.1"),
    ]


def demo(folder: Path) -> list[Figure]:
    """The demo through Snakemake over the same stages one after the other in warm processes, the better of two each."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    through, stages = [], []
    for turn in ("first", "second"):
        through.append(go(folder / turn, config))
        project = folder / f"{turn}-warm"
        project.mkdir()
        (project / "config.yaml").write_text(yaml.safe_dump(config | COLD))  # they are warm as it is
        spent = project / "spent.json"
        run([sys.executable, ROOT / "bench/measure_workflow.py", spent, *options()], project)
        stages.append(sum(json.loads(spent.read_text()).values()))
    return [
        Figure("the demo through Snakemake", min(through), "s"),
        Figure("its stages in warm processes", min(stages), "s"),
        Figure("the one over the other", min(through) / min(stages), "x", "<= 1.35"),
    ]


def go(project: Path, config: dict) -> float:
    """Seconds of a run."""
    project.mkdir(parents=True, exist_ok=True)
    (project / "config.yaml").write_text(yaml.safe_dump(config))
    return run([SNAKEMAKE, *options()], project)


def options() -> list[str | Path]:
    return [
        "--snakefile", ROOT / "Snakefile", "--cores", "2", "--configfile", "config.yaml", "--conda-prefix", CONDA,
        "--quiet", "all",
    ]  # fmt: skip


def run(command: list, folder: Path) -> float:
    """Seconds that a command took, which must succeed."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())

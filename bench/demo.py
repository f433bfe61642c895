"""bench-demo: wall time and peak memory of every stage of the main job.

It runs the bundled clip, or clips of the demo world, through the whole workflow in a temporary folder, and reads what
Snakemake's `benchmark:` recorded. Times of a small network on a busy machine say little by themselves; the ratios and
the memory are what must hold.
"""

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from harness import ROOT, Figure, arguments, report

SNAKEMAKE = Path(sys.executable).with_name("snakemake")
COLD = {"runtime": {"warm": False}}  # of a job that goes on in another process Snakemake would not see the memory
EDIT = {"steps": 10, "start": "inversion"}  # so that there is a job of every stage
MEMORY = {  # MB, peak resident size of a stage's job, children included
    "keyframes": "<= 300",
    "extract": "<= 300",
    "masks": "<= 300",
    "plan": "<= 200",
    "invert": "<= 1500",
    "reference": "<= 1500",
    "edit": "<= 1500",
    "flow": "<= 300",
    "out": "<= 500",
}


def main() -> int:
    args = arguments(__doc__)
    subprocess.run([SNAKEMAKE, "--cores", "2", "--quiet", "all", "--", "environments"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        videos = world(project, args.seeds) if args.seeds else bundled(args.quick)
        (project / "config.yaml").write_text(yaml.safe_dump({"videos": videos, "edit": EDIT} | COLD))
        whole = run(project)
        again = min(run(project) for _ in range(3))
        start = min(timed([SNAKEMAKE, "--version"], project) for _ in range(3))
        stages = {stage: measured(project / "benchmarks" / stage) for stage in MEMORY}
    figures = [Figure(f"{stage} time", sum(s for s, _ in jobs), "s") for stage, jobs in stages.items()]
    figures += [
        Figure(f"{stage} memory", max(m for _, m in jobs), "MB", MEMORY[stage]) for stage, jobs in stages.items()
    ]
    figures += [
        Figure("whole run", whole, "s"),
        Figure("second run, nothing to do", again, "s"),
        Figure("second run over snakemake --version", again / start, "x", "<= 3"),
    ]
    return report("demo", figures)


def bundled(quick: bool) -> dict:
    """The clip of config/config.yaml; the quick one ends after a second."""
    masks = {"method": "files", "path": str(ROOT / "demo/masks.mkv")}
    ball = {"path": str(ROOT / "demo/clip.mp4"), "find": "the red circle", "replace": "a green star"}
    return {"ball": ball | {"masks": masks} | ({"range": [0, 1]} if quick else {})}


def world(folder: Path, seeds: range) -> dict:
    """A clip of the demo world per seed, written into the folder."""
    from film import write_clip, write_masks
    from world import Scene

    videos = {}
    for seed in seeds:
        scene = Scene.random(seed)
        clip, masks = folder / f"{seed}.mp4", folder / f"{seed}.mkv"
        write_clip(scene, clip)
        write_masks(scene, masks, only=1)
        words = {"find": scene.phrases[0], "replace": "a green star"}
        videos[f"seed {seed}"] = {"path": str(clip), **words, "masks": {"method": "files", "path": str(masks)}}
    return videos


def run(project: Path) -> float:
    """Seconds of one call of the workflow."""
    command = [SNAKEMAKE, "--snakefile", ROOT / "Snakefile", "--cores", "2", "--quiet", "all"]
    command += ["--configfile", "config.yaml", "--conda-prefix", ROOT / ".snakemake" / "conda"]
    return timed(command, project)


def timed(command: list, folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - start


def measured(folder: Path) -> list[tuple[float, float]]:
    """(seconds, peak MB) of every job of a stage; 0 MB of one that ended before Snakemake could look."""
    rows = [row for path in folder.rglob("*.tsv") for row in csv.DictReader(path.open(), delimiter="\t")]
    return [(float(row["s"]), 0 if row["max_rss"] in ("-", "NA") else float(row["max_rss"])) for row in rows]


if __name__ == "__main__":
    sys.exit(main())

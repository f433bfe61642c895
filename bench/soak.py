"""bench-soak: a clip of ten minutes, and a table of 300 videos, each from nothing to its result.

Flat is what no length and no number makes larger: the memory of every stage's jobs for the long clip over that for a
short one, the disk for each second of it, the disk for each video of a long table over a short one. Snakemake plans all
jobs before the first, so its own memory grows with their number: for a minute and for a video more by so much at most.
The quick one takes a minute and 10 videos.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import yaml
from harness import ROOT, Figure, arguments, report
from layouts import size

from demo import COLD, SNAKEMAKE, measured

SEED, SIZE, FPS = 900_205, (96, 160), 25
LEAST = 128  # MB: of jobs that take less Snakemake sees little by chance, for they end while it looks elsewhere
PLANNED = 10, 1  # MB for each minute and each video more
CHEAP = {"edit": {"steps": 2, "start": "noise"}, "encode": {"preset": "ultrafast"}, "report": {"enabled": False}}


def main() -> int:
    args = arguments(__doc__)
    subprocess.run([SNAKEMAKE, "--cores", "2", "--quiet", "all", "--", "environments"], cwd=ROOT, check=True)
    seconds, short, videos, few = (60, 15, 10, 3) if args.quick else (600, 60, 300, 30)
    with tempfile.TemporaryDirectory() as folder:
        return report("soak", long_clip(Path(folder), seconds, short) + many(Path(folder), videos, few))


def long_clip(folder: Path, seconds: int, short: int) -> list[Figure]:
    """The same scene, long and short, with a keyframe every ten seconds."""
    memories, drivers, disks = {}, {}, {}
    for length in (short, seconds):
        project = folder / f"clip-{length}"
        draw(project, length * FPS)
        video = {"path": "clip.mp4", "find": "the ball", "replace": "a star", "masks": {"path": "masks.mkv"}}
        took, drivers[length] = run(project, {"videos": {"ball": video}, "keyframes": {"every": 10 * FPS}} | COLD)
        memories[length] = {rule: memory(project, rule) for rule in rules(project)}
        disks[length] = size(project) / length
    grown = {name: max(memories[seconds][name], LEAST) / max(usual, LEAST) for name, usual in memories[short].items()}
    grown["disk"] = disks[seconds] / disks[short]
    figures = [Figure(f"{seconds} s, whole run", took, "s")]
    figures += [Figure(f"{name} memory, {seconds} s", usual, "MB") for name, usual in memories[seconds].items()]
    driver = 60 * (drivers[seconds] - drivers[short]) / (seconds - short)
    figures += [Figure("Snakemake's memory for each minute more", driver, "MB", f"<= {PLANNED[0]}")]
    return figures + [
        Figure(f"{name}, of {seconds} s over {short} s", more, "x", "<= 1.1") for name, more in grown.items()
    ]


def many(folder: Path, videos: int, few: int) -> list[Figure]:
    """A table of clips of half a second."""
    memories, disks = {}, {}
    for count in (few, videos):
        project = folder / f"table-{count}"
        draw(project, FPS // 2)
        rows = [f"v{n:03d}\tclip.mp4\tthe ball\ta star\tmasks.mkv" for n in range(count)]
        (project / "videos.tsv").write_text("\n".join(["name\tpath\tfind\treplace\tmasks.path", *rows]) + "\n")
        took, memories[count] = run(project, {"videos": "videos.tsv", "keyframes": {"count": 2}})
        disks[count] = size(project) / count
        made = len([*(project / "out").glob("*.mp4")])
    driver = (memories[videos] - memories[few]) / (videos - few)
    return [
        Figure(f"{videos} videos, whole run", took, "s"),
        Figure("of which finished", made, "", f">= {videos}"),
        Figure("Snakemake's memory for each video more", driver, "MB", f"<= {PLANNED[1]}"),
        Figure(f"disk for each video, of {videos} over {few}", disks[videos] / disks[few], "x", "<= 1.1"),
    ]


def draw(project: Path, frames: int) -> None:
    """A clip of the demo world, and where its first object is."""
    from film import write_clip, write_masks
    from world import Scene

    project.mkdir()
    scene = Scene.random(SEED, size=SIZE, frames=frames)
    write_clip(scene, project / "clip.mp4")
    write_masks(scene, project / "masks.mkv", only=1)


def run(project: Path, config: dict) -> tuple[float, float]:
    """Seconds that a run took, and the most memory of Snakemake itself in MB."""
    (project / "config.yaml").write_text(yaml.safe_dump(CHEAP | config))
    command = [SNAKEMAKE, "--snakefile", ROOT / "Snakefile", "--cores", "2", "--configfile", "config.yaml"]
    command += ["--conda-prefix", ROOT / ".snakemake" / "conda", "--quiet", "all"]
    start, most = time.perf_counter(), 0.0
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        most = peak(process.pid) or most
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{project}: the run failed")
    return time.perf_counter() - start, most


def peak(pid: int) -> float:
    """The most resident memory of a process so far, in MB, without what it started; 0 if it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def rules(project: Path) -> list[str]:
    return sorted(path.name for path in (project / "benchmarks").iterdir())


def memory(project: Path, rule: str) -> float:
    """The resident memory of a rule's jobs at their largest, in MB: the median of them."""
    return median(most for _, most in measured(project / "benchmarks" / rule))


if __name__ == "__main__":
    sys.exit(main())

"""bench-layouts: checkpoints of every layout at their real sizes, with random weights, through the whole workflow.

For each of config/examples: the size of its checkpoint, and time and memory of two keyframes, one step each, on this
machine's CPU or GPU; for the first also masks by words with finders of real size. Writes up to 7 GB at a time into the
temporary folder. The quick one is Stable Diffusion 1.5 alone.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from harness import ROOT, Figure, arguments, report

from demo import COLD, SNAKEMAKE, measured, run

LAYOUTS = ("sd15", "sd15-inpaint", "sd21", "sdxl")
MEMORY = {"sd15": "<= 9000", "sd15-inpaint": "<= 9000", "sd21": "<= 12000", "sdxl": "<= 22000"}  # MB, in float32
CLIP = {"path": str(ROOT / "demo/clip.mp4"), "find": "the red circle", "replace": "a green star"}


def main() -> int:
    args = arguments(__doc__)
    environments = [f"work/environments/{env}.json" for env in ("edit", "masks")]
    subprocess.run([SNAKEMAKE, "--cores", "2", "--quiet", "all", "--", *environments], cwd=ROOT, check=True)
    edit, masks = (prefix(path) for path in environments)
    figures = []
    for layout in LAYOUTS[:1] if args.quick else LAYOUTS:
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder)
            subprocess.run([edit, ROOT / "bench/checkpoints.py", layout, project / "model"], check=True)
            words = layout == "sd15"
            if words:
                subprocess.run([masks, ROOT / "bench/finders.py", project / "finders"], check=True)
            (project / "config.yaml").write_text(yaml.safe_dump(config(layout, words)))
            figures += [Figure(f"{layout} checkpoint in half precision", size(project / "model") / 1e9, "GB")]
            figures += [Figure(f"{layout} whole run", run(project), "s")]
            for stage in ["invert", "reference", "edit"] + (["candidates"] if words else []):
                jobs = measured(project / "benchmarks" / stage)
                seconds, memory = sum(s for s, _ in jobs), max(m for _, m in jobs)
                target = MEMORY[layout] if stage != "candidates" else "<= 6000"
                figures += [Figure(f"{layout} {stage} time", seconds, "s")]
                figures += [Figure(f"{layout} {stage} memory", memory, "MB", target)]
            cache = project / "edited" / "ball" / "reference"
            figures += [Figure(f"{layout} cache of one step", size(cache) / 1e6, "MB")]
    return report("layouts", figures)


def config(layout: str, words: bool) -> dict:
    """The example's configuration, for the bundled clip's first half second and the checkpoints just made."""
    example = yaml.safe_load((ROOT / "config" / "examples" / f"{layout}.yaml").read_text())
    finders = {"detector": {"weights": "finders/grounding.pth", "config": "finders/grounding.cfg.py"}}
    finders["detector"]["text"], finders["segmenter"] = "finders/text", "finders/segmentation.pth"
    found = {"threshold": 0} if words else {"method": "files", "path": str(ROOT / "demo/masks.mkv")}
    example["models"] = {"diffusion": "model"} | (finders if words else {})
    example["edit"] |= {"steps": 1, "start": "inversion"}
    example["runtime"] = example.get("runtime", {}) | COLD["runtime"]
    return example | {"videos": {"ball": CLIP | {"range": [0, 0.5], "keyframes": {"count": 1}, "masks": found}}}


def measured_in(environment: str, script: str, *asked: object):
    """What a script of bench/ prints last, as JSON, when it runs in a stage's environment."""
    path = f"work/environments/{environment}.json"
    subprocess.run([SNAKEMAKE, "--cores", "2", "--quiet", "all", "--", path], cwd=ROOT, check=True)
    command = [prefix(path), ROOT / "bench" / f"{script}.py", *map(str, asked)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def prefix(report: str) -> Path:
    """The Python of a stage's environment."""
    return Path(yaml.safe_load((ROOT / report).read_text())["prefix"]) / "bin" / "python"


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())

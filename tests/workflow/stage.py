"""A workflow and a project in one folder, for rehearsals."""

import json
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import yaml

import matrix
from clevam import prune
from clevam.jobs import merge
from rehearsal import Rehearsal

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ("rules", "scripts", "envs", "config", "profiles")


@dataclass
class Ran:
    """What a call of snakemake said: exit status, all it printed, and the jobs it ran or planned."""

    status: int
    text: str
    jobs: Counter = field(init=False)

    def __post_init__(self) -> None:
        ran = re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", self.text)
        planned = self.text.split("Job stats:")[-1].split("total")[0] if "dry-run" in self.text else ""
        self.jobs = Counter(ran) + Counter({m[1]: int(m[2]) for m in re.finditer(r"^(\w+) +(\d+)$", planned, re.M)})
        del self.jobs["all"]


class Stage:
    """A workflow and a project in one folder."""

    def __init__(self, rehearsal: Rehearsal, folder: Path, config: dict) -> None:
        self.rehearsal, self.config = rehearsal, config
        self.folder, self.project, self.tree = folder, folder / "project", folder / "clevam"

    def copy(self, folder: Path) -> "Stage":
        """All of it elsewhere, as `rsync -a` would."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Stage(self.rehearsal, folder, self.config)

    def configure(self, **changes: object) -> None:
        self.config = without_none(merge(self.config, changes))
        (self.project / "config.yaml").write_text(yaml.safe_dump(self.config))

    def __call__(self, *args: str, killed: int | list[str] = 0) -> Ran:
        return self.run(self.tree / "Snakefile", *args, killed=killed)

    def run(self, snakefile: str | Path, *args: str, killed: int | list[str] = 0) -> Ran:
        command = ["--configfile", "config.yaml", "--snakefile", snakefile, "--cores", "2"]
        return Ran(*self.rehearsal(self.project, *command, *args, killed=killed))

    def made(self) -> dict[str, str]:
        """What every file of the results holds."""
        folders = [self.project / name for name in prune.RESULTS]
        files = (path for folder in folders for path in sorted(folder.rglob("[!.]*")) if path.is_file())
        return {str(path.relative_to(self.project)): path.read_text() for path in files}


def without_none(config: object) -> object:
    """The configuration without the keys that a row takes out."""
    if isinstance(config, dict):
        return {key: without_none(value) for key, value in config.items() if value is not None}
    return config


def copy_workflow(tree: Path) -> None:
    """The workflow, to be edited; its stages need no environments."""
    tree.mkdir()
    shutil.copy(ROOT / "Snakefile", tree)
    for name in WORKFLOW:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    profile = tree / "profiles/default/profile.yaml"
    profile.write_text(profile.read_text().replace("software-deployment-method: conda", ""))


def furnish(project: Path) -> None:
    """What a user brings; nothing ever looks into it."""
    for model in matrix.WEIGHTS:
        for folder, content in {"models": "these", "moved": "these", "other": "others"}.items():
            write(project / folder / model, content)
    for folder, part in product(("models", "moved", "other"), ("unet", "vae")):
        sizes = json.dumps({"sample_size": 8, "block_out_channels": [1]})
        write(project / folder / "diffusion" / part / "config.json", sizes)
    write(project / "torch/hub/checkpoints/squeezenet1_1-b8a52dc0.pth", "these")
    for name in ("clip.mp4", "moved.mp4"):
        write(project / name, "a clip")
    for name in ("other.mp4", "masks.mkv", "other.mkv", "star.png", "moon.png"):
        write(project / name, name)
    for name in ("000000", "000020", "000040", "000059"):
        write(project / f"drawn/{name}.png", name)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

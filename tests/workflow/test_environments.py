"""Per-stage environments."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from clevam.files import read_json
from conftest import ENVIRONMENTS, ROOT

STAGES = sorted(p.stem for p in (ROOT / "envs").glob("*.yaml"))
CONDA = ROOT / "envs" / "conda" / "bin" / "conda"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_every_package_it_names_from_its_own_prefix(finished, stage):
    ran = finished(f"work/environments/{stage}.json")
    assert ran.status == 0, ran.text
    report = read_json(finished / f"work/environments/{stage}.json")
    assert Path(report["prefix"]).parent == ENVIRONMENTS
    named = (ROOT / "envs" / "requirements" / f"{stage}.in").read_text().splitlines()
    assert sorted(report["packages"]) == sorted(n.split("<")[0] for n in named if n and not n.startswith("#"))
    assert all((Path(report["prefix"]) / p["file"]).is_file() for p in report["packages"].values())


@pytest.mark.parametrize("stage", STAGES)
def test_an_environment_file_pins_python_and_every_package(stage):
    python, pip, packages = yaml.safe_load((ROOT / "envs" / f"{stage}.yaml").read_text())["dependencies"]
    assert (python, pip) == ("python=3.11", "pip")
    assert all(p.count("==") == 1 and p == p.replace(" ", "") for p in packages["pip"])


def test_the_environment_that_parses_the_snakefile_has_no_torch():
    assert subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode != 0


def test_a_real_conda_on_the_path_wins(tmp_path, monkeypatch):
    from clevam import tools

    monkeypatch.setenv("PATH", str(tmp_path))
    tools.put_on_path(CONDA.parent)
    import os

    assert os.environ["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), str(tmp_path), str(CONDA.parent)]


def test_the_stand_in_builds_what_a_file_names_and_nothing_else(tmp_path):
    (tmp_path / "env.yaml").write_text("dependencies: [python=3.11, pip, {pip: [tqdm==4.67.1]}]")
    call = [CONDA, "env", "create", "--quiet", "--file", tmp_path / "env.yaml", "--prefix", tmp_path / "env"]
    subprocess.run([sys.executable, *call], check=True)
    listing = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "freeze", "--python", tmp_path / "env/bin/python"],
        capture_output=True,
        text=True,
    )
    assert listing.stdout.split() == ["tqdm==4.67.1"]


def test_the_stand_in_says_so_when_a_file_needs_a_real_conda(tmp_path):
    (tmp_path / "env.yaml").write_text("dependencies: [python=3.11, samtools=1.2]")
    call = [CONDA, "env", "create", "--file", tmp_path / "env.yaml", "--prefix", tmp_path / "env"]
    done = subprocess.run([sys.executable, *call], capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.strip() == "conda stand-in: 'samtools=1.2' is not a pip package; install conda or mamba for it"

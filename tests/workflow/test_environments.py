"""Per-stage environments."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import recorded_conda
from clevam import tools
from clevam.files import read_json
from conftest import ENVIRONMENTS, ROOT, Project

ENVS = ROOT / "envs"
STAGES = sorted(p.stem for p in ENVS.glob("*.yaml"))
CONDA = ENVS / "conda" / "bin" / "conda"
LOCK = runpy.run_path(str(ENVS / "lock.py"))


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
def test_an_environment_file_is_its_compiled_source(stage, monkeypatch):
    monkeypatch.setenv("UV_TORCH_BACKEND", "cpu")  # what a user chooses for one machine does not touch the pins
    assert (ENVS / f"{stage}.yaml").read_text() == LOCK["render"](ENVS / "requirements" / f"{stage}.in")


def test_every_source_is_compiled_and_every_environment_has_a_source():
    assert sorted(p.stem for p in (ENVS / "requirements").glob("*.in")) == STAGES


def test_the_environment_that_parses_the_snakefile_has_no_torch():
    assert subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode != 0


def test_a_real_conda_on_the_path_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    tools.put_on_path(CONDA.parent)
    assert os.environ["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), str(tmp_path), str(CONDA.parent)]


@pytest.fixture
def miniforge(tmp_path, monkeypatch):
    """A shell in which a conda is installed and, as after `conda init`, its base environment is active."""
    base = tmp_path / "miniforge"
    recorded_conda.install(base)
    monkeypatch.setenv("PATH", os.pathsep.join([f"{base}/bin", f"{base}/condabin", os.environ["PATH"]]))
    monkeypatch.setenv("CONDA_PREFIX", str(base))
    monkeypatch.setenv("CONDA_SHLVL", "1")
    monkeypatch.setenv("PIP_NO_DEPS", "0")
    return base


def test_a_conda_builds_the_same_files_and_jobs_run_inside_what_it_built(miniforge, tmp_path):
    ran = Project(tmp_path, {})("work/environments/plan.json", "--conda-prefix", str(tmp_path / "envs"))
    assert ran.status == 0, ran.text
    prefix = Path(read_json(tmp_path / "work/environments/plan.json")["prefix"])
    assert prefix.parent == tmp_path / "envs"
    # All that Snakemake asks of a conda: nothing is left for the stand-in.
    assert (miniforge / "calls.txt").read_text().splitlines() == [
        "info --json",
        "--version",
        "config --get channel_priority --json",
        f"env create --quiet --no-default-packages --file {prefix}.yaml --prefix {prefix}",
        "clean -y --tarballs",
        f"shell.posix activate {prefix}",  # which Python is it?
        f"shell.posix activate {prefix}",  # the script
    ]


@pytest.mark.parametrize("stage", STAGES)
def test_a_conda_takes_every_environment_file(stage):
    python, packages = recorded_conda.contents(ENVS / f"{stage}.yaml")
    assert python == "3.11"
    assert packages


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channels: [x]\nsteps: 1\ndependencies: [python=3.11]", "SectionNotValid: steps"),
        ("dependencies: [python=3.11]", "no channels"),
        ("channels: [x]\ndependencies: [python=3.11, 'pip <> 2']", "InvalidMatchSpec: pip <> 2"),
        ("channels: [x]\ndependencies: [python=3.11, pip, {npm: [left-pad]}]", "Unable to install package for npm"),
        ("channels: [x]\ndependencies: [python=3.11, {pip: [tqdm==4.67.1]}]", "do not list pip itself"),
        ("channels: [x]\ndependencies: [python=3.11, pip, {pip: [--no-deps]}]", "Invalid requirement: --no-deps"),
        ("channels: [x]\ndependencies: [python=3.11, pip, {pip: [tqdm]}]", "not one release: tqdm"),
        ("channels: [x]\ndependencies: [python=3.11, pip, {pip: [tqdm==4.*]}]", "not one release"),
    ],
)
def test_the_recorded_conda_is_a_strict_one(tmp_path, text, said):
    (tmp_path / "env.yaml").write_text(text)
    with pytest.raises(recorded_conda.Refused, match=re.escape(said)):
        recorded_conda.contents(tmp_path / "env.yaml")


def test_the_recorded_conda_fails_on_a_call_that_it_does_not_know(miniforge):
    done = subprocess.run([miniforge / "bin" / "conda", "list"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "not a call that Snakemake" in done.stderr


@pytest.mark.parametrize("which", ["stand-in", "recorded"])
def test_an_environment_has_what_its_file_names_and_nothing_else(miniforge, tmp_path, which):
    tools.steady_conda()
    text = "channels: [conda-forge]\ndependencies: [python=3.11, pip, {pip: [importlib-metadata==8.7.0]}]"  # needs zipp
    (tmp_path / "env.yaml").write_text(text)
    conda = [sys.executable, CONDA] if which == "stand-in" else [miniforge / "bin" / "conda"]
    options = ["--quiet", "--no-default-packages", "--file", tmp_path / "env.yaml", "--prefix", tmp_path / "env"]
    subprocess.run([*conda, "env", "create", *options], check=True)
    listing = [sys.executable, "-m", "uv", "pip", "freeze", "--python", tmp_path / "env" / "bin" / "python"]
    packages = subprocess.check_output(listing, text=True).split()
    assert [p for p in packages if not p.startswith("pip==")] == ["importlib-metadata==8.7.0"]


def test_runs_that_build_one_environment_at_a_time_get_the_same_one(tmp_path):
    text = "channels: [conda-forge]\ndependencies: [python=3.11, pip, {pip: [importlib-metadata==8.7.0, zipp==3.23.0]}]"
    (tmp_path / "env.yaml").write_text(text)
    prefix = tmp_path / "envs" / "one"
    call = [sys.executable, CONDA, "env", "create", "--file", tmp_path / "env.yaml", "--prefix", prefix]
    runs = [subprocess.Popen(call) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert Path(f"{prefix}.env_setup_done").exists()  # by which Snakemake knows that nobody is building it
    assert not Path(f"{prefix}.part").exists()
    check = "import importlib_metadata as m; print(m.version('zipp'))"
    assert subprocess.check_output([prefix / "bin" / "python", "-c", check], text=True).strip() == "3.23.0"


def test_an_environment_that_could_not_be_built_is_not_there(tmp_path):
    (tmp_path / "env.yaml").write_text("dependencies: [python=3.11, pip, {pip: [importlib-metadata==999]}]")
    call = [sys.executable, CONDA, "env", "create", "--file", tmp_path / "env.yaml", "--prefix", tmp_path / "env"]
    assert subprocess.run(call, capture_output=True).returncode != 0
    assert not (tmp_path / "env").exists()


def test_a_conda_installed_later_enters_what_the_stand_in_built(miniforge, tmp_path):
    (tmp_path / "env.yaml").write_text("dependencies: [python=3.11]")
    call = [CONDA, "env", "create", "--file", tmp_path / "env.yaml", "--prefix", tmp_path / "env"]
    subprocess.run([sys.executable, *call], check=True)
    job = f"source {miniforge}/bin/activate '{tmp_path}/env'; set -euo pipefail; command -v python"
    assert subprocess.check_output(["bash", "-c", job], text=True).strip() == str(tmp_path / "env" / "bin" / "python")


def test_the_stand_in_says_so_when_a_file_needs_a_real_conda(tmp_path):
    (tmp_path / "env.yaml").write_text("dependencies: [python=3.11, samtools=1.2]")
    call = [CONDA, "env", "create", "--file", tmp_path / "env.yaml", "--prefix", tmp_path / "env"]
    done = subprocess.run([sys.executable, *call], capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.strip() == "conda stand-in: 'samtools=1.2' is not a pip package; install conda or mamba for it"

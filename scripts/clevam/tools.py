"""Where the programs that Snakemake calls are found, and what a conda among them has to know."""

import os
import sys
from pathlib import Path


def put_on_path(stand_in: Path) -> None:
    """This environment's own programs first, so that .venv/bin/snakemake works without activation; the folder of the
    conda stand-in last, so that a real conda wins."""
    folders = [str(Path(sys.executable).parent), *os.environ["PATH"].split(os.pathsep), str(stand_in)]
    os.environ["PATH"] = os.pathsep.join(dict.fromkeys(folders))


def steady_conda() -> None:
    """Have a real conda do as the stand-in does, whatever shell the run was started from."""
    # It installs with pip. The files are full closures, some with a dependency left out on purpose: install just those.
    os.environ["PIP_NO_DEPS"] = "1"
    # It gives a job's environment the place on PATH of the one that is active, which is behind the folder put first
    # above: `python` would be this one. Where none is active it comes first.
    os.environ.pop("CONDA_SHLVL", None)

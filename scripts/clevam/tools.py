"""Where the programs that Snakemake calls are found."""

import os
import sys
from pathlib import Path


def put_on_path(stand_in: Path) -> None:
    """This environment's own programs first, so that .venv/bin/snakemake works without activation; the folder of the
    conda stand-in last, so that a real conda wins."""
    folders = [str(Path(sys.executable).parent), *os.environ["PATH"].split(os.pathsep), str(stand_in)]
    os.environ["PATH"] = os.pathsep.join(dict.fromkeys(folders))

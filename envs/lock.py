"""Pin every environment: envs/requirements/<stage>.in -> envs/<stage>.yaml, the full closure, exact versions.

The yaml files are plain conda environment files; `make lock-envs` runs this, a test compares them with their sources.
"""

import subprocess
import sys
from pathlib import Path

ENVS = Path(__file__).resolve().parent
PYTHON = "3.11"


def closure(requirements: Path) -> list[str]:
    """Every package that `requirements` brings with it, as `name==version`."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--override", str(ENVS / "requirements" / "overrides.txt")]
    command += ["--python-version", PYTHON, "--python-platform", "linux", str(requirements)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def main() -> None:
    for source in sorted((ENVS / "requirements").glob("*.in")):
        pins = "".join(f"      - {pin}\n" for pin in closure(source))
        head = f"# Made by `make lock-envs` from requirements/{source.name}; do not edit.\n"
        body = f"dependencies:\n  - python={PYTHON}\n  - pip\n  - pip:\n{pins}"
        (ENVS / f"{source.stem}.yaml").write_text(f"{head}channels:\n  - conda-forge\n{body}")
        print(f"envs/{source.stem}.yaml: {pins.count('==')} packages")


if __name__ == "__main__":
    main()

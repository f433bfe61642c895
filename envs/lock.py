"""Pin every environment: envs/requirements/<env>.in -> envs/<env>.yaml, the full closure, exact versions.

Packages are resolved as the index stood at the moment in requirements/as-of.txt: the same files come out next year, so
a test can compare them with their sources. `make lock-envs` moves that moment to a week ago: mirrors show a release
days after the time it bears, which would change what that moment was, and a bad one is withdrawn by then. With
ARGS=--keep it stays, and a package can be added without upgrading the others. The moment is not in the yaml files: a
file that comes out the same must not rebuild its environment.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ENVS = Path(__file__).resolve().parent
AS_OF = ENVS / "requirements" / "as-of.txt"
PYTHON = "3.11"
SETTLED = timedelta(weeks=1)


def closure(requirements: Path) -> list[str]:
    """Every package that `requirements` brings with it, as `name==version`."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--override", str(ENVS / "requirements" / "overrides.txt"), "--python-platform", "linux"]
    command += ["--python-version", PYTHON, "--exclude-newer", AS_OF.read_text().strip(), str(requirements)]
    # It picks a build of torch for one machine when its environment is made; the pins are for all.
    environ = {k: v for k, v in os.environ.items() if k != "UV_TORCH_BACKEND"}
    return subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True).stdout.split()


def render(source: Path) -> str:
    """The environment file that `source` compiles to."""
    pins = "".join(f"      - {pin}\n" for pin in closure(source))
    head = f"# Made by `make lock-envs` from requirements/{source.name}; do not edit.\nchannels:\n  - conda-forge\n"
    return f"{head}dependencies:\n  - python={PYTHON}\n  - pip\n  - pip:\n{pins}"


def main(args: list[str]) -> None:
    if args != ["--keep"]:
        AS_OF.write_text(f"{datetime.now(UTC) - SETTLED:%Y-%m-%dT%H:%M:%SZ}\n")
    for source in sorted((ENVS / "requirements").glob("*.in")):
        file = ENVS / f"{source.stem}.yaml"
        file.write_text(render(source))
        print(f"envs/{file.name}: {file.read_text().count('==')} packages")


if __name__ == "__main__":
    main(sys.argv[1:])

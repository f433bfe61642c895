"""A strict conda for tests: answers the calls that Snakemake makes as conda 24.7 does, keeps a record of every call,
and refuses every other call and every environment file that a conda refuses or complains about.

No conda can be installed where the tests run. This one follows conda's source: cli/main_info.py, cli/main_config.py,
cli/main_env_create.py, env/env.py, env/installers/pip.py, activate.py. Only conda's own packages are not its: a python
and a pip come from uv. The packages below `pip:` are installed as conda does it, by the pip of the new environment.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from packaging.requirements import InvalidRequirement, Requirement

BASE = Path(__file__).resolve().parents[1]  # of the copy that `install` made: <base>/bin/conda
SECTIONS = {"name", "channels", "dependencies", "prefix", "variables"}
SPEC = re.compile(r"(?P<name>[a-z0-9_][a-z0-9_.-]*)(=(?P<version>\d[\w.]*))?")  # of all that MatchSpec takes

ACTIVATE = """\
. "{base}/etc/profile.d/conda.sh" || return $?
conda activate "$@"
"""
FUNCTIONS = """\
export CONDA_EXE='{base}/bin/conda'
conda() {{
    local asked
    asked="$("$CONDA_EXE" shell.posix "$@")" || return
    eval "$asked"
}}
if [ -z "${{CONDA_SHLVL+x}}" ]; then
    export CONDA_SHLVL=0 PATH="{base}/condabin:$PATH"
fi
"""


class Refused(Exception):
    """What a conda says before it exits with 1."""


def install(base: Path) -> None:
    """Put this conda into the folder `base`."""
    files = {
        "bin/conda": f"#!{sys.executable}\n{Path(__file__).read_text()}",
        "bin/activate": ACTIVATE.format(base=base),
        "etc/profile.d/conda.sh": FUNCTIONS.format(base=base),
        "calls.txt": "",
    }
    for name, text in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text)
    (base / "bin" / "conda").chmod(0o755)


def main(args: list[str]) -> None:
    with (BASE / "calls.txt").open("a") as record:
        print(shlex.join(args), file=record)
    match args:
        case ["--version"]:
            print("conda 24.7.1")
        case ["info", "--json"]:
            print(json.dumps(info(), indent=2))
        case ["config", "--get", "channel_priority", "--json"]:
            # As after the installation: nothing is set. Snakemake then recommends `strict`, and goes on.
            print(json.dumps({"get": {}, "rc_path": "~/.condarc", "success": True, "warnings": []}, indent=2))
        case ["env", "create", "--quiet", "--no-default-packages", "--file", file, "--prefix", prefix]:
            create(Path(file), Path(prefix))
        case ["clean", "-y", "--tarballs"]:
            print("There are no unused tarball(s) to remove.")
        case ["shell.posix", "activate", prefix]:
            print(activation(Path(prefix)))
        case _:
            raise Refused(f"conda: error: not a call that Snakemake 9.27 is known to make: {shlex.join(args)}")


def info() -> dict[str, object]:
    return {
        "active_prefix": os.environ.get("CONDA_PREFIX"),
        "channels": [
            "https://conda.anaconda.org/conda-forge/linux-64",
            "https://conda.anaconda.org/conda-forge/noarch",
        ],
        "conda_prefix": str(BASE),
        "conda_shlvl": int(os.environ.get("CONDA_SHLVL") or -1),
        "conda_version": "24.7.1",
        "default_prefix": os.environ.get("CONDA_PREFIX", str(BASE)),
        "envs_dirs": [f"{BASE}/envs"],
        "platform": "linux-64",
        "root_prefix": str(BASE),
        "root_writable": True,
    }


def create(file: Path, prefix: Path) -> None:
    python, packages = contents(file)
    if prefix.exists():
        raise Refused(f"CondaValueError: prefix already exists: {prefix}")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", python, prefix], check=True)
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", prefix / "bin" / "python", "pip"], check=True)
    (prefix / "conda-meta").mkdir()
    (prefix / "conda-meta" / "history").touch()
    with tempfile.NamedTemporaryFile("w", prefix="condaenv.", suffix=".requirements.txt", dir=file.parent) as listing:
        listing.write("\n".join(packages))
        listing.flush()
        pip = [prefix / "bin" / "python", "-m", "pip", "install", "-U", "-r", listing.name, "--exists-action=b"]
        if subprocess.run(pip, cwd=file.parent).returncode:
            raise Refused("CondaEnvException: Pip failed")


def contents(file: Path) -> tuple[str, list[str]]:
    """The version of Python and the pip packages that an environment file names."""
    content = yaml.safe_load(file.read_text())
    if file.suffix not in {".yaml", ".yml"} or not isinstance(content, dict):
        raise Refused(f"EnvironmentSpecPluginNotDetected: {file}")
    if unknown := content.keys() - SECTIONS:
        raise Refused(f"EnvironmentSectionNotValid: {', '.join(unknown)}")
    if not content.get("channels"):
        raise Refused("no channels: what a conda takes from elsewhere depends on whose it is")
    specs = [entry for entry in content["dependencies"] if isinstance(entry, str)]
    others = [entry for entry in content["dependencies"] if not isinstance(entry, str)]
    if invalid := [spec for spec in specs if not SPEC.fullmatch(spec)]:
        raise Refused(f"InvalidMatchSpec: {', '.join(invalid)}")
    if installers := {name for entry in others for name in entry} - {"pip"}:
        raise Refused(f"Unable to install package for {', '.join(installers)}.")
    if others and "pip" not in specs:
        raise Refused("Warning: you have pip-installed dependencies, but you do not list pip itself")
    versions = {found["name"]: found["version"] for found in map(SPEC.fullmatch, specs)}
    return versions["python"], [pinned(line) for entry in others for line in entry["pip"]]


def pinned(line: str) -> str:
    """A line of a requirements file, which has to name one release."""
    try:
        release = Requirement(line)
    except InvalidRequirement as error:
        raise Refused(f"pip: Invalid requirement: {line}") from error
    if [s.operator for s in release.specifier] != ["=="] or "*" in line or release.marker or release.url:
        raise Refused(f"not one release: {line}")
    return line


def activation(prefix: Path) -> str:
    """The shell commands that make `prefix` the active environment."""
    if not (prefix / "conda-meta").is_dir():
        raise Refused(f"EnvironmentLocationNotFound: Not a conda environment: {prefix}")
    path, level = os.environ["PATH"].split(":"), int(os.environ.get("CONDA_SHLVL") or 0)
    # The first environment comes first on PATH. The next takes its place, wherever that is by then.
    active = f"{os.environ.get('CONDA_PREFIX')}/bin"
    if level and active in path:
        path[path.index(active)] = f"{prefix}/bin"
    else:
        path.insert(0, f"{prefix}/bin")
    exports = {"PATH": ":".join(path), "CONDA_PREFIX": prefix, "CONDA_SHLVL": level + 1, "CONDA_DEFAULT_ENV": prefix}
    return "\n".join(f"export {name}={shlex.quote(str(value))}" for name, value in exports.items())


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Refused as refused:
        sys.exit(f"\n{refused}\n")

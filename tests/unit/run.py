"""Run tests/unit/<env>/ in the environment of envs/<env>.yaml, the one that the stage itself runs in.

python tests/unit/run.py [env ...] [-- pytest options]
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(args: list[str]) -> int:
    split = args.index("--") if "--" in args else len(args)
    chosen, options = args[:split], args[split + 1 :]
    chosen = chosen or sorted(p.name for p in (ROOT / "tests" / "unit").iterdir() if any(p.glob("test_*.py")))
    snakemake = Path(sys.executable).with_name("snakemake")
    targets = [f"work/environments/{env}.json" for env in chosen]
    subprocess.run([snakemake, "--cores", "2", "--quiet", "all", "--", *targets], cwd=ROOT, check=True)
    return max(run(env, options) for env in chosen)


def run(env: str, options: list[str]) -> int:
    """The exit status of one environment's tests."""
    prefix = json.loads((ROOT / "work" / "environments" / f"{env}.json").read_text())["prefix"]
    path = [ROOT / ".tools" / "pytest", ROOT / "scripts", ROOT / "demo", ROOT / "bench", ROOT / "tests"]
    environ = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
    }
    print(f"--- tests/unit/{env} in {prefix}", flush=True)
    command = [f"{prefix}/bin/python", "-m", "pytest", f"tests/unit/{env}", *options]
    return subprocess.run(command, cwd=ROOT, env=environ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

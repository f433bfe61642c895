"""Every benchmark in turn; bench/results.json with what they measured and on what machine."""

import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

BENCH = Path(__file__).resolve().parent


def main() -> int:
    results, failed = [], []
    for script in sorted(BENCH.glob("*.py")):
        # `faults` takes most of an hour by itself.
        if script.stem in {"all", "harness", "checkpoints", "finders", "faults"} or script.stem.startswith("measure_"):
            continue
        print(f"--- bench-{script.stem}", flush=True)
        done = subprocess.run([sys.executable, script, *sys.argv[1:]], stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="")
        failed += [script.stem] if done.returncode else []
        results += [json.loads(line) for line in done.stdout.splitlines()[-1:] if line.startswith("{")]
    record = {"date": date.today().isoformat(), "machine": machine(), "results": results}
    (BENCH / "results.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"bench/results.json written; missed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def machine() -> dict:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    models = (
        [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        if info.exists()
        else []
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main())

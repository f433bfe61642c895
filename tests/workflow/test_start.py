"""What a start of the workflow costs beside Snakemake's own part."""

import json
import subprocess
import sys

from conftest import ROOT

OWN = """
import json, sys, time
import pydantic, yaml, snakemake.cli  # which Snakemake imports or any configuration needs
before = set(sys.modules)
start = time.process_time()
from pathlib import Path
from clevam import closure, damage, doubts, hub, live, outcome, prune, tools, weights
from clevam.jobs import resolve
resolve(yaml.safe_load(Path("config/config.yaml").read_text()))
for script in sorted(Path("scripts").glob("*.py")):
    closure.digest(script)
print(json.dumps([time.process_time() - start, sorted(set(sys.modules) - before)]))
"""


def test_the_workflows_own_part_of_a_start_takes_a_third_of_a_second_and_imports_nothing_heavy():
    """Seconds of CPU time, the best of five: others may be busy on this machine."""
    runs = [started() for _ in range(5)]
    assert min(seconds for seconds, _ in runs) < 0.3
    assert not {"numpy", "torch", "cv2", "av", "huggingface_hub"} & set(runs[0][1])


def started():
    command = [sys.executable, "-c", OWN]
    said = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": "scripts"}, capture_output=True, text=True, check=True)
    return json.loads(said.stdout)

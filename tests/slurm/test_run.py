"""The demo on a real Slurm: what is submitted, where it lands, and that the result is the same."""

from collections import Counter

from conftest import WITHOUT, minutes

# rule: partition, GPUs, megabytes, minutes, CPUs. Blocks without a GPU run side by side, so their memory adds up; on a
# GPU they take turns, so their time does.
EXPECTED = {
    "keyframes": ("cpu", 0, 1000, 30, 1),
    "extract": ("cpu", 0, 2 * 2000, 5, 2),
    "candidates": ("gpu", 1, 12000, 2 * 15, 1),
    "masks": ("cpu", 0, 2 * 2000, 5, 2),
    "reference": ("gpu", 1, 12000, 15, 4),
    "edit": ("gpu", 1, 12000, 2 * 20, 4),
    "flow": ("cpu", 0, 2 * 2000, 20, 2),
    "carried": ("cpu", 0, 2 * 2000, 10, 2),
    "stretch": ("cpu", 0, 3000, 30, 2),
    "out": ("cpu", 0, 1000, 60, 1),
    "measure": ("cpu", 0, 2000, 120, 1),
}


def described(job):
    gpus = int(job.get("TresPerJob", "gres:gpu:0").rpartition(":")[2])
    memory = int(job["MinMemoryNode"].removesuffix("M"))
    return job["Partition"], gpus, memory, minutes(job["TimeLimit"]), int(job["NumCPUs"])


def of_the_run(cluster):
    """The jobs of the run through profiles/slurm: those of its first name."""
    jobs = cluster.jobs()
    return [job for job in jobs if job["JobName"] == jobs[0]["JobName"]]


def test_every_job_asks_for_what_its_rule_needs(ran, cluster):
    first = {}
    for job in of_the_run(cluster):
        first.setdefault(job["rule"], described(job))
    assert first == EXPECTED


def test_blocks_share_a_job_and_cheap_rules_are_not_submitted(ran, cluster):
    submitted = Counter(job["rule"] for job in of_the_run(cluster))
    assert submitted == Counter([*EXPECTED, "edit"])  # one of which was cancelled


def test_a_cancelled_job_is_submitted_again_for_twice_the_time(ran, cluster):
    first, second = [job for job in of_the_run(cluster) if job["rule"] == "edit"]
    assert (first["JobState"], second["JobState"]) == ("CANCELLED", "COMPLETED")
    assert minutes(second["TimeLimit"]) == 2 * minutes(first["TimeLimit"])


def test_the_result_equals_the_one_without_slurm(ran, local):
    pictures = sorted(path.relative_to(local.folder) for path in local.folder.glob("edited/**/*.png"))
    assert len(pictures) == 4
    for path in [*pictures, "masks/ball/000000.png", "out/ball.mp4"]:
        assert (ran / path).read_bytes() == (local / path).read_bytes()


def test_without_slurm_nothing_is_left_to_do(ran):
    assert "Nothing to be done" in ran(WITHOUT, "--cores", 1, "--dry-run")


def test_the_other_profile_asks_for_generic_resources(ran, cluster, local):
    ran.on_slurm("slurm-gres", "--force", "--allowed-rules", "reference", "--", "edited/ball/reference.png")
    job = cluster.jobs()[-1]
    assert job["rule"] == "reference"
    assert "TresPerJob" not in job
    assert (job["TresPerNode"], job["Partition"], job["NumCPUs"]) == ("gres:gpu:1", "gpu", "4")
    assert (ran / "edited/ball/reference.png").read_bytes() == (local / "edited/ball/reference.png").read_bytes()

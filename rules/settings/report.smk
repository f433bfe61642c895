"""What reports are given."""


def perceived(job):
    """What networks see of a result, if the configuration names any."""
    return [f"work/perceived/{job}.json"] if EYES else []


def perceive_settings(wildcards):
    job = JOBS[wildcards.job]
    return dict(
        names=index_of(job.video)["keyframes"],
        regions=len(FINDS[job.find].edited),
        words=job.replace,
        block=BLOCK,
        lpips=RESOLVED.models.lpips,
        clip="clip" in EYES,
        weights=[fingerprint(model(key)) for key in EYES],
        source=index_of(job.video)["source"]["sha256"],
        code=code("perceive", "perceive"),
    )


def reported(video):
    """The results that a clip's report shows."""
    return [job for job in ASKED if JOBS[job].video == video]


def numbers():
    """What is measured of every clip.

    Asked for before the plans are known, all that they decide would be made again though they came out the same.
    """
    for job in ASKED:
        know(job)
    return [f"report/{video}/metrics.json" for video in dict.fromkeys(JOBS[job].video for job in ASKED)]


def summaries():
    """What is written over all clips."""
    if not RESOLVED.report.enabled:
        return []
    pages = ["report/summary.html", "report/summary.tsv"]
    return pages + ["work/report/passed"] * RESOLVED.report.strict


def page_code(script):
    return code(script, "report", *sorted((ROOT / "scripts" / "clevam" / "templates").iterdir()))


def report_settings(wildcards):
    jobs = reported(wildcards.video)
    keys = {key for job in jobs for key in model_keys(job)}
    return dict(
        edits={
            job: dict(
                words=spoken(job),
                find=JOBS[job].find,
                file=result_of(job),
                lossless=JOBS[job].encode["lossless"],
            )
            for job in jobs
        },
        alarm=RESOLVED.report.alarm.model_dump(),
        models={key: fingerprint(model(key)) for key in sorted(keys)},
        versions={env: pins(env) for env in ENVIRONMENTS if env != "fetch"},
        code=page_code("report"),
    )


def spoken(job):
    """A job in words."""
    pairs = zip(FINDS[JOBS[job].find].edited, JOBS[job].replace, strict=True)
    return ", ".join(f"{a} → {b}" for a, b in pairs)

"""What sweeps and previews are given."""


def swept():
    """The sheets of a sweep."""
    if not RESOLVED.sweeps:
        or_stop(nothing_to_sweep)
    return [f"sweep/{job}/{name}" for job in RESOLVED.sweeps for name in ("sheet.png", "table.tsv")]


def nothing_to_sweep():
    raise UserError(
        "sweep: nothing to try; name keys and values in the configuration: sweep: {edit.guidance: [3, 6]}"
    )


def trials(wildcards):
    """The edited keyframes of all trials of a job, one trial's after the other's."""
    for name in RESOLVED.sweeps[wildcards.job]:
        look_for(name)
        yield from pictures("edited", name, JOBS[name].video)


def sweep_settings(wildcards):
    crops, names = (
        plan_of(JOBS[wildcards.job].find)["crops"],
        index_of(JOBS[wildcards.job].video)["keyframes"],
    )
    return dict(
        trials=RESOLVED.sweeps[wildcards.job],
        crops=[crops.get(name) for name in names],
        code=code("sweep", "plan"),
    )


def previews(wildcards):
    """What is tried of a clip's edits."""
    for job in reported(wildcards.video):
        look_for(job)
        yield f"work/preview/{job}"


def tried_settings(wildcards):
    tried = JOBS[wildcards.job].tried(RESOLVED.preview)
    return dict(
        tried={name: reference_settings(wildcards.job, job.edit) for name, (job, _) in tried.items()},
        code=code("tried", "edit"),
    )


def preview_settings(wildcards):
    """Of each edit how it is said, what its find has to tell, and what to set for each of its pictures."""
    edits = {}
    for job in reported(wildcards.video):
        find, plan = JOBS[job].find, plan_of(JOBS[job].find)
        edits[job] = dict(
            words=spoken(job),
            find=find,
            regions=len(FINDS[find].edited),
            reference=plan["reference"],
            crop=plan["crops"][plan["reference"]],
            given=JOBS[job].edit["reference"],
            tried={name: keys for name, (_, keys) in JOBS[job].tried(RESOLVED.preview).items()},
        )
    return dict(
        edits=edits,
        steps=RESOLVED.preview.steps,
        names=index_of(wildcards.video)["keyframes"],
        code=page_code("preview"),
    )


def finds_of(video):
    """What is looked for in a clip, each once."""
    return list(dict.fromkeys(JOBS[job].find for job in reported(video)))

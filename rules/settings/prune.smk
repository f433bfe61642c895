"""What a project needs, and what nothing in it does."""


def surplus():
    """Results that jobs made and that the present configuration would not make."""

    def recorded(path):
        return workflow.persistence.metadata(IOFile(path, rule=None)) is not None

    mine = [path.resolve() for path in brought()]
    return [
        path
        for path in prune.results(Path.cwd(), recorded)
        if not asked_for(path) and not any(file.is_relative_to(Path(path).resolve()) for file in mine)
    ]


def asked_for(path):
    """Whether a result is made, of what there is to be made."""
    outputs = ((each.name, output) for each in workflow.rules for output in each.output)
    return any(
        found and exists(name, found.groupdict()) for name, output in outputs if (found := output.match(path))
    )


def exists(made_by, wildcards):
    """Whether there is what wildcards name: such a keyframe, such a block."""
    job = JOBS.get(wildcards.get("job"))
    find = wildcards.get("find") or (job and job.find)
    video = wildcards.get("video") or (find and FINDS[find].video)
    if made_by == "subjects":
        return bool(job.shown)
    if made_by == "perceive":
        return bool(EYES)
    if (way := wildcards.get("way")) and not any(j.find == find and way_of(j) == way for j in JOBS.values()):
        return False
    if wildcards.get("container") not in (None, job and job.encode["container"]):
        return False
    if not video or not Path(f"keyframes/{video}/index.json").exists():
        return True  # not known yet
    index = or_stop(read_json, f"keyframes/{video}/index.json")
    return (
        wildcards.get("idx") in (None, *index["keyframes"])
        and wildcards.get("block") in (None, *index["blocks"])
        and wildcards.get("part") in (None, "reference", *index["blocks"])
        and int(wildcards.get("stretch") or 0) * STRETCH < len(index["pts"])
    )


def brought():
    """The files and folders that the configuration names."""
    yield from (Path(clip.path) for clip in CLIPS.values())
    yield from (Path(path) for find in FINDS.values() if (path := find.masks["path"]))
    for job in JOBS.values():
        yield from [Path(job.edit["reference"])] if job.edit["reference"] else []
        yield from (Path(path) for subject in job.shown.values() for path in subject["images"])
        yield from (Path(each["maps"]) for each in job.edit["control"])

"""What the plan and the painting are given."""


def plan_settings(wildcards):
    find = FINDS[wildcards.find]
    native, multiple = or_stop(weights.native_size, Path(model("diffusion")))
    plan = dict(find.plan, size=find.plan["size"] or native, multiple=multiple)
    return dict(
        plan,
        flow_margin=find.flow["margin"],
        rim=find.masks["feather"],
        regions=len(find.edited),
        segments=index_of(find.video)["segments"],
        names=index_of(find.video)["keyframes"],
        reach=index_of(find.video)["reach"],
        code=code("plan", "plan"),
    )


def words_of(find):
    """What is found, in words; a whole frame has none of its own."""
    return ["" if words == "*" else words for words in FINDS[find].edited]


def invert_settings(find, way):
    return dict(model_settings(), find=words_of(find), **WAYS[way])


def given_reference(job):
    """The picture that the user brings as the reference, if there is one."""
    path = JOBS[job].edit["reference"]
    return [or_stop(existing, path, f"videos.{job}.edit.reference")] if path else []


def edit_settings(name, edit=None):
    """edit: instead of the job's own section."""
    job = JOBS[name]
    return dict(
        model_settings(),
        find=words_of(job.find),
        replace=job.replace,
        feather=job.feather,
        edit={key: value for key, value in (edit or job.edit).items() if key != "reference"},
        given=[fingerprint(path) for path in given_reference(name)],
        extras=[fingerprint(model(key)) for kind in EXTRAS for key in extra_keys(name, kind)],
        subjects=shown(name),
        viewer=[fingerprint(model(key)) for key in VIEWER] if job.shown else [],
    )


def cut_out(job):
    """Whether a job's subjects are to be found in their pictures."""
    return any(subject["cutout"] for subject in JOBS[job].shown.values())


def subject_pictures(job):
    """The pictures that the user brings, one subject's after the other's."""
    paths = [path for subject in JOBS[job].shown.values() for path in subject["images"]]
    return [or_stop(existing, path, f"videos.{job}.subject.images") for path in paths]


def subject_settings(job):
    """Of each picture of a job what it is called, and the words to find B by if it is to be cut out."""
    pictures = [
        dict(name=name, phrase=JOBS[job].replace[label - 1] if JOBS[job].shown[label]["cutout"] else None)
        for label, _, names in shown(job)
        for name in names
    ]
    used = dict(pictures=pictures, files=[fingerprint(path) for path in subject_pictures(job)])
    if cut_out(job):
        threshold = FINDS[JOBS[job].find].masks["threshold"] if by_words(JOBS[job].find) else 0.3
        used |= dict(weights=finder_weights(), threshold=threshold)
    return dict(used, code=code("subjects", "masks"))


def shown(job):
    """What the edit is told of a job's subjects: label, scale, and the names of their pictures."""
    return [
        [label, subject["scale"], [f"{label}_{n:02d}.png" for n in range(1, len(subject["images"]) + 1)]]
        for label, subject in JOBS[job].shown.items()
    ]


def subjects(job):
    """The folder of a job's subjects, if it has any."""
    return [f"subjects/{job}"] if JOBS[job].shown else []


def viewer(wildcards):
    """Where the IP-Adapter lies that a job's subjects are shown with."""
    return os.pathsep.join(model(key) for key in VIEWER) if JOBS[wildcards.job].shown else ""


EXTRAS = {
    "controls": "control",
    "adapters": "adapters",
}  # sections of `models`: the keys of `edit` that use them


def extra_keys(job, kind):
    """What the ControlNets or the adapters of a job are called."""
    return [f"{kind}.{each['model']}" for each in JOBS[job].edit[EXTRAS[kind]]]


def extra_models(kind):
    """Where they lie, in one text as a resource has to be."""
    return lambda wildcards: os.pathsep.join(model(key) for key in extra_keys(wildcards.job, kind))


def control_maps(job, names):
    """The maps that the user brings for keyframes, one after the other for each."""
    folders = [each["maps"] for each in JOBS[job].edit["control"] if each["maps"] != "canny"]
    return [
        or_stop(existing, f"{folder}/{name}.png", "edit.control.maps") for name in names for folder in folders
    ]


def inverted(job, part):
    """The folder of a part's inversions, if the job takes any."""
    way = way_of(JOBS[job])
    given = part == "reference" and JOBS[job].edit["reference"]
    return [] if way == "none" or given else [f"work/inverted/{JOBS[job].find}/{way}/{part}"]


def keyframes_of_part(wildcards):
    """The reference, or all others of a block."""
    reference = plan_of(wildcards.find)["reference"]
    if wildcards.part == "reference":
        return [reference]
    return [name for name in keyframes_in(FINDS[wildcards.find].video, wildcards.part) if name != reference]


def previous_of(job, block):
    """The keyframes before each of a block's that it looks at: of its shot, and none but those that are edited."""
    find, video, count = JOBS[job].find, JOBS[job].video, JOBS[job].edit["share"]["previous"]
    crops, reference = plan_of(find)["crops"], reference_of(job)
    chains = {}
    for first, last in index_of(video)["segments"] if count else []:
        chain = [name for name in sorted(crops) if first <= int(name) <= last and name != reference]
        chains |= {name: chain[max(0, n - count) : n] for n, name in enumerate(chain)}
    return {name: before for name, before in chains.items() if block_of(name) == block}


def earlier(job, block):
    """The folders of the blocks before this one in which those are."""
    names = {name for before in previous_of(job, block).values() for name in before}
    return [f"work/edited/{job}/{other}" for other in sorted(set(map(block_of, names)) - {block})]


def reference_of(job):
    return plan_of(JOBS[job].find)["reference"]


def crops_of(find, names):
    crops = plan_of(find)["crops"]
    return {name: crops[name] for name in names if name in crops}


def reference_settings(job, edit=None):
    """What a reference follows from, wherever it is painted."""
    return dict(
        edit_settings(job, edit),
        crop=crops_of(JOBS[job].find, [reference_of(job)]),
        code=code("reference", "edit"),
    )

"""What finding A is given."""


def segmented(find):
    return FINDS[find].masks["between"] == "segment"


def given(find):
    """The user's mask video, if that is where the masks of all frames are from."""
    masks = FINDS[find].masks
    if masks["method"] != "files" or masks["between"] != "auto" or os.path.isdir(masks_path(find)):
        return []
    return [masks_path(find)]


def planned(wildcards):
    """A find's plan, asked for by a function: were only params to ask it, they would be unknown to other targets.

    wildcards: or a job.
    """
    return ancient(checkpoints.plan.get(find=wildcards.find).output[0])


def mask_files(wildcards):
    """What the masks of a block are made from: the keyframes, the user's files, or nothing but the index."""
    masks, video = FINDS[wildcards.find].masks, FINDS[wildcards.find].video
    if masks["method"] == "box":
        return []
    names = [f"{idx}.png" for idx in keyframes_in(video, wildcards.block)]
    if looked_for(wildcards.find):
        return [f"keyframes/{video}/{name}" for name in names]
    path = masks_path(wildcards.find)
    if not os.path.isdir(path):
        return [path]
    return [or_stop(existing, f"{path}/{name}", f"videos.{wildcards.find}.masks.path") for name in names]


def finders():
    """Where the models that find things by words lie, in one text as a resource has to be."""
    return os.pathsep.join(model(key) for key in WORDS)


def finder_weights():
    """What they are told by: their files, and the sizes that may lie beside the segmenter's."""
    sizes = Path(model("segmenter")).with_suffix(".json")
    return [fingerprint(path) for path in [*map(model, WORDS), *filter(Path.exists, [sizes])]]


def candidate_settings(wildcards):
    """What the method uses, and no more: files and boxes do not depend on words."""
    find = FINDS[wildcards.find]
    method, regions = find.masks["method"], find.regions
    if by_words(wildcards.find):
        used = dict(phrases=[region["phrase"] for region in regions], weights=finder_weights())
    elif method == "files":
        labels = [region["label"] for region in regions]
        used = dict(labels=labels, files=[fingerprint(path) for path in mask_files(wildcards)])
    else:
        used = dict(boxes=[region["box"] for region in regions])
    return dict(
        used,
        method=method,
        names=keyframes_in(find.video, wildcards.block),
        source=index_of(find.video)["source"]["sha256"],
        code=code("candidates", "masks"),
    )


def attributed_settings(wildcards):
    find = FINDS[wildcards.find]
    size, multiple = or_stop(weights.native_size, Path(model("diffusion")))
    return dict(
        model_settings(),
        phrases=[region["phrase"] for region in find.regions],
        size=size,
        multiple=multiple,
        names=keyframes_in(find.video, wildcards.block),
        source=index_of(find.video)["source"]["sha256"],
        code=code("attributed", "edit"),
    )


def told_apart(wildcards):
    """The keyframes, where it is by their looks that one of several is followed."""
    find = FINDS[wildcards.find]
    return pictures("keyframes", find.video, find.video) if looked_for(wildcards.find) else []


def choose_settings(wildcards):
    find = FINDS[wildcards.find]
    index, words = index_of(find.video), looked_for(wildcards.find)
    folders = blocks("candidates", wildcards.find, find.video)
    return dict(
        # Where nothing is looked for by words, other words are no other choice.
        regions=[[r["find"] if words else "", r["phrase"], r["pick"], r["label"]] for r in find.regions],
        painted=words and any(Path(f"{PREFIX}masks_override/{wildcards.find}").glob("*.png")),
        threshold=find.masks["threshold"] if words else 0,
        names=index["keyframes"],
        blocks=[
            folders.index(f"work/candidates/{wildcards.find}/{block_of(name)}") for name in index["keyframes"]
        ],
        segments=index["segments"],
        code=code("choose", "plan"),
    )


def draw_settings(wildcards):
    find = FINDS[wildcards.find]
    told = chosen_of(wildcards.find)["keyframes"]
    return dict(
        chosen={
            name: [region["chosen"] for region in told[name]]
            for name in keyframes_in(find.video, wildcards.block)
        },
        labels=[region["label"] for region in find.regions],
        tools=tools_of(wildcards.find),
        code=code("masks", "plan"),
    )


def tools_of(find):
    """What is done to masks that were found."""
    masks = FINDS[find].masks
    used = {key: masks[key] for key in ("least", "fill_holes", "hull", "dilate")}
    return dict(used, loose=masks["shape"] == "loose")

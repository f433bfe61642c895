"""What the masks between keyframes are given."""


def keyframes_around(video, frames, more=0):
    """The keyframes among the frames [first, last], and those next to them beside which others of these lie.

    more: of the neighbours of these, in the same shot, so many on each side.
    """
    found = []
    for a, b in index_of(video)["segments"]:
        first, last = max(a, frames[0]), min(b, frames[1])
        if first <= last:
            inside = [idx for idx in index_of(video)["keyframes"] if a <= int(idx) <= b]
            near = max(n for n, idx in enumerate(inside) if int(idx) <= first)
            far = min((n for n, idx in enumerate(inside) if int(idx) >= last), default=len(inside) - 1)
            found += inside[max(0, near - more) : far + 1 + more]
    return found


def ends(wildcards):
    """The keyframes beside which frames of a block lie."""
    return keyframes_around(FINDS[wildcards.find].video, frames_of(wildcards.block))


def masks_between(wildcards):
    """Their masks."""
    return [f"masks/{wildcards.find}/{idx}.png" for idx in ends(wildcards)]


def between_settings(wildcards):
    """What the masks between keyframes come from, and no more."""
    find = FINDS[wildcards.find]
    labels = [region["label"] for region in find.regions]
    tools = tools_of(wildcards.find)
    frames = frames_of(wildcards.block)
    used = dict(frames=frames, motion=motion_in(wildcards.find, frames), regions=max(labels))
    if given(wildcards.find):
        return dict(
            used,
            given=[fingerprint(path) for path in given(wildcards.find)],
            tools=tools,
            code=code("carried", "out"),
        )
    used |= dict(names=ends(wildcards), source=index_of(find.video)["source"]["sha256"])
    if segmented(wildcards.find):
        whole = [
            region["label"] - 1 for region in find.regions if region["phrase"] is None and region["label"]
        ]
        sizes = Path(model("segmenter")).with_suffix(".json")
        weights = [fingerprint(path) for path in (model("segmenter"), sizes) if Path(path).exists()]
        return dict(used, weights=weights, whole=whole, tools=tools, code=code("segmented", "masks"))
    # A mask that was made larger than A has no edge of the picture to follow.
    snap = not (tools["dilate"] or tools["hull"] or tools["loose"])
    return dict(used, given=[], snap=snap, code=code("carried", "out"))

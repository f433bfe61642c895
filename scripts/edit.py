"""Rule `edit`: the keyframes of a block, edited while looking at the reference."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import warm

    warm.go_on("clevam.edit")
    from clevam import edit
    from clevam.diffusion import Machine

    inputs, crops, reference = snakemake.input, settings["crops"], settings["reference"]
    maps = edit.maps_of(settings["edit"]["control"], inputs.maps, settings["names"])
    keyframes, untouched = {}, {}
    for name, picture, mask in zip(settings["names"], inputs.keyframes, inputs.masks, strict=True):
        if name in crops and name != reference:
            keyframes[name] = edit.Keyframe(picture, mask, crops[name], maps[name])
        else:
            untouched[name] = inputs.picture if name == reference else picture
    edit.block(
        keyframes,
        next(iter(inputs.inverted), None),  # only some edits take inversions
        snakemake.output[0],
        untouched=untouched,
        cache=inputs.cache,
        settings=settings,
        machine=Machine.of(snakemake),
        previous=settings["previous"],
        earlier=list(inputs.earlier),
        subjects=edit.subjects_of(settings["subjects"], snakemake.input.subjects),
    )

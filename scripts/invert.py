"""Rule `invert`: the keyframes of a block on their way to noise."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import warm

    warm.go_on("clevam.edit")
    from clevam import edit
    from clevam.diffusion import Machine

    inputs, crops = snakemake.input, settings["crops"]
    keyframes = {
        name: edit.Keyframe(picture, mask, crops[name])
        for name, picture, mask in zip(settings["names"], inputs.keyframes, inputs.masks, strict=True)
        if name in crops
    }
    edit.invert(keyframes, snakemake.output[0], settings=settings, machine=Machine.of(snakemake))

"""Rule `tried`: the reference in several ways, by one model."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import warm

    warm.go_on("clevam.edit")
    from clevam import edit, twin
    from clevam.diffusion import Machine

    inputs, tried = snakemake.input, settings["tried"]
    ((name, crop),) = tried["own"]["crop"].items()
    maps = edit.maps_of(tried["own"]["edit"]["control"], inputs.maps, [name])
    made_of = [inputs.keyframe, inputs.mask, *inputs.given, *inputs.maps, *inputs.subjects]
    edit.tried(
        edit.Keyframe(inputs.keyframe, inputs.mask, crop, maps[name]),
        snakemake.output[0],
        tried={way: (told, twin.digest(told, made_of)) for way, told in tried.items()},
        machine=Machine.of(snakemake),
        subjects=edit.subjects_of(tried["own"]["subjects"], inputs.subjects),
        given=next(iter(inputs.given), None),
    )

"""Rule `reference`: the first edit, and its attention for all others."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import edit
    from clevam.diffusion import Machine

    ((name, crop),) = settings["crop"].items()
    folder = next(iter(snakemake.input.inverted), None)  # only some edits take an inversion
    maps = edit.maps_of(settings["edit"]["control"], snakemake.input.maps, [name])
    edit.reference(
        edit.Keyframe(snakemake.input.keyframe, snakemake.input.mask, crop, maps[name]),
        f"{folder}/{name}.safetensors" if folder else None,
        snakemake.output.picture,
        snakemake.output.cache,
        settings=settings,
        machine=Machine.of(snakemake),
        subjects=edit.subjects_of(settings["subjects"], snakemake.input.subjects),
    )

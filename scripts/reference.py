"""Rule `reference`: the first edit, and its attention for all others."""

from pathlib import Path

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import twin, warm

    inputs, output = snakemake.input, snakemake.output
    made_of = twin.digest(settings, [inputs.keyframe, inputs.mask, *inputs.given, *inputs.maps, *inputs.subjects])
    previewed = Path(output.cache).parents[2] / "work/preview" / snakemake.wildcards.job
    names = ("own", str(settings["edit"]["seed"]))
    if not any(twin.take(made_of, previewed / name, output.picture, output.cache) for name in names):
        warm.go_on("clevam.edit")
        from clevam import edit
        from clevam.diffusion import Machine

        ((name, crop),) = settings["crop"].items()
        folder = next(iter(inputs.inverted), None)  # only some edits take an inversion
        maps = edit.maps_of(settings["edit"]["control"], inputs.maps, [name])
        edit.reference(
            edit.Keyframe(inputs.keyframe, inputs.mask, crop, maps[name]),
            f"{folder}/{name}.safetensors" if folder else None,
            output.picture,
            output.cache,
            settings=settings,
            machine=Machine.of(snakemake),
            subjects=edit.subjects_of(settings["subjects"], inputs.subjects),
            given=next(iter(inputs.given), None),
        )

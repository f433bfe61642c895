"""Rule `previewed`: the reference in several ways, on one page."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import preview
    from clevam.files import read_json

    inputs, names = snakemake.input, settings["names"]
    finds = list(dict.fromkeys(edit["find"] for edit in settings["edits"].values()))
    preview.write(
        snakemake.output[0],
        video=snakemake.wildcards.video,
        keyframes=dict(zip(names, inputs.keyframes, strict=True)),
        finds={
            find: {
                "told": read_json(told),
                "masks": dict(zip(names, inputs.masks[n * len(names) : (n + 1) * len(names)], strict=True)),
            }
            for n, (find, told) in enumerate(zip(finds, inputs.told, strict=True))
        },
        edits={
            job: edit | {"folder": folder}
            for (job, edit), folder in zip(settings["edits"].items(), inputs.tried, strict=True)
        },
        steps=settings["steps"],
    )

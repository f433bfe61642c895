"""Rule `masks`: the label maps of a block."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import masks
    from clevam.shapes import Tools

    masks.write(
        snakemake.input.candidates,
        snakemake.output[0],
        chosen=settings["chosen"],
        labels=settings["labels"],
        tools=Tools(**settings["tools"]),
    )

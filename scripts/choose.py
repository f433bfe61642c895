"""Checkpoint `choose`: which of the candidates is A."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import identity

    names, folders = settings["names"], snakemake.input.candidates
    identity.choose(
        {name: f"{folders[n]}/{name}.npz" for name, n in zip(names, settings["blocks"], strict=True)},
        dict(zip(names, snakemake.input.pictures, strict=False)),  # none where nothing has to be told apart
        snakemake.output[0],
        regions=[identity.Region(*each) for each in settings["regions"]],
        threshold=settings["threshold"],
        segments=settings["segments"],
        painted=settings["painted"],
    )

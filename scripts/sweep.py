"""Rule `trials`: other values of some keys, side by side."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import trials

    inputs, tried, count = snakemake.input, settings["trials"], len(settings["crops"])
    trials.write(
        list(inputs.keyframes),
        list(inputs.masks),
        {name: inputs.edited[n * count : (n + 1) * count] for n, name in enumerate(tried)},
        tried,
        settings["crops"],
        sheet=snakemake.output.sheet,
        table=snakemake.output.table,
    )

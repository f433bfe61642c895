"""Rule `environment`: import every package a stage names, and say where it came from."""

from clevam.adapter import stage

with stage(snakemake) as settings:
    from clevam import environment
    from clevam.files import write_json

    write_json(snakemake.output[0], environment.describe(settings["packages"]))

"""Rule `judge`: an error where something is red."""

from clevam.adapter import stage

with stage(snakemake):
    from clevam import summary

    summary.refuse(snakemake.input)

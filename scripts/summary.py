"""Rule `summary`: all clips in one table."""

from clevam.adapter import stage

with stage(snakemake):
    from clevam import summary

    summary.write(snakemake.input, snakemake.output.page, snakemake.output.table)

"""clevam: consistent local edits in video by attention manipulation. The library: no Snakemake in it."""

"""Rule `prune`: list the results that nothing asks for, and remove them if told to."""

from pathlib import Path

from clevam.adapter import stage

with stage(snakemake, online=True) as settings:
    from clevam import prune

    print(prune.report(Path.cwd(), settings["surplus"]))
    if settings["yes"]:
        prune.remove(Path.cwd(), settings["surplus"])
        print("prune: removed")
    elif settings["surplus"]:
        print("prune: nothing was removed; add `--config yes=1` to remove them")

"""Results that nothing asks for any more: `snakemake prune` lists them, `snakemake prune --config yes=1` removes them.

REQUIRED INPUTS: none; no other rule asks it
OUTPUTS: none

What a job made and the present configuration would not make is surplus: keyframes that are none any more, edits and videos
that are gone. Pictures that were painted and files that the user brought are never touched.
"""


rule prune:
    log:
        "logs/prune.log",
    localrule: True
    params:
        settings=lambda wildcards: dict(surplus=surplus(), yes=RESOLVED.yes),
    message:
        "prune: what nothing asks for"
    script:
        "../scripts/prune.py"

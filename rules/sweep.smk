"""What other values of some keys would do: `snakemake sweep`.

REQUIRED INPUTS: edited/<job>.<values>/<idx>.png for every combination, keyframes/<video>/<idx>.png, masks/<find>/<idx>.png
OUTPUTS:
    sweep/<job>/sheet.png    a row of keyframes for each combination
    sweep/<job>/table.tsv    its values, what it changed, how alike its keyframes are, how long it took
"""


rule sweep:
    input:
        lambda wildcards: swept(),
    localrule: True
    message:
        "sweep: {input}"


rule trials:
    input:
        index=lambda wildcards: ancient(f"keyframes/{JOBS[wildcards.job].video}/index.json"),
        plan=lambda wildcards: ancient(f"plan/{JOBS[wildcards.job].find}.json"),
        edited=trials,
        keyframes=lambda wildcards: pictures(
            "keyframes", JOBS[wildcards.job].video, JOBS[wildcards.job].video
        ),
        masks=lambda wildcards: pictures("masks", JOBS[wildcards.job].find, JOBS[wildcards.job].video),
    output:
        sheet="sweep/{job}/sheet.png",
        table="sweep/{job}/table.tsv",
    log:
        "logs/trials/{job}.log",
    conda:
        "../envs/plan.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=sweep_settings,
    message:
        "sweep: compare the trials of {wildcards.job}"
    script:
        "../scripts/sweep.py"

"""clevam: replace A with B in a video, and change nothing else.

snakemake --cores 2                              the videos of config/config.yaml
snakemake --cores 2 --configfile mine.yaml       your own
snakemake --cores 2 out/dog.mp4                  one of them
snakemake --cores 2 report/dog/index.html        one of them, and the page that shows it
snakemake masks_video --cores 2                  the masks of every frame, as one video
snakemake preview --cores 2                      the first edit alone, from several seeds, on one page per clip
snakemake sweep --cores 2                        every combination of the values under `sweep`, side by side
snakemake fetch --cores 1                        download the models that are named
snakemake prune --cores 1                        list results that nothing asks for; --config yes=1 removes them
"""

from snakemake.utils import min_version

min_version("9.27")

# A list of videos given on the command line or in --configfile stands alone; the demo's is not added to it.
if "videos" not in config:

    configfile: workflow.source_path("config/config.yaml")


include: "rules/common.smk"
include: "rules/settings.smk"
include: "rules/keyframes.smk"
include: "rules/masks.smk"
include: "rules/plan.smk"
include: "rules/edit.smk"
include: "rules/flow.smk"
include: "rules/between.smk"
include: "rules/out.smk"
include: "rules/preview.smk"
include: "rules/sweep.smk"
include: "rules/report.smk"
include: "rules/environments.smk"
include: "rules/fetch.smk"
include: "rules/prune.smk"


# Every file of every stage, not only out/: a job that failed is recorded as if it had run, and would not be tried
# again if only something further down were asked for. One list per job, so that a video that cannot be read does not
# keep the others waiting.
rule all:
    default_target: True
    input:
        [partial(stage, job) for job in ASKED for stage in STAGES],
        lambda wildcards: summaries(),


# What this run was asked for, with every default, beside its results.
onstart:
    or_stop(write_json, "out/config.json", RESOLVED.describe())
    forget_replaced()
    measure_once()
    show_progress()


# Said last, for the log of a job that succeeded is not shown.
onsuccess:
    conclude()


onerror:
    conclude()

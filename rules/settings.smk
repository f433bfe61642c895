"""What each stage's rules are given: lists of files, and the settings that are recorded with a result."""


include: "settings/files.smk"
include: "settings/models.smk"
include: "settings/masks.smk"
include: "settings/between.smk"
include: "settings/edit.smk"
include: "settings/out.smk"
include: "settings/report.smk"
include: "settings/trials.smk"
include: "settings/prune.smk"
include: "settings/told.smk"

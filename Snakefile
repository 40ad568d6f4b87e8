"""Multimodal privileged knowledge distillation, from DICOM to the last figure. See README.md."""

import sys

from snakemake.utils import min_version

min_version("9.0")
sys.path.insert(0, workflow.basedir)


include: "rules/common.smk"
include: "rules/cohorts.smk"
include: "rules/preprocess.smk"
include: "rules/privileged.smk"
include: "rules/teachers.smk"
include: "rules/students.smk"
include: "rules/attention.smk"
include: "rules/evaluation.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        [RESULTS.table(name).values() for name in STUDY.tables],
        [RESULTS.figure(name).values() for name in STUDY.figures],
        RESULTS.report if STUDY.report else [],
        RESULTS.record.values(),

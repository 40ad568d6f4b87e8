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
include: "rules/outputs.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        files_of(STUDY.outputs),
        RESULTS.report if STUDY.report else [],
        RESULTS.record.values(),


onsuccess:
    if any(job.rule.name == "all" for job in workflow.dag.jobs):
        logger.info(success(STUDY, RESULTS))


onerror:
    logger.info(failure())

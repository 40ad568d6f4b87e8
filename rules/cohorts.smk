"""Phantom trees, and every data set as four tables."""


rule phantom:
    output:
        tree=directory(result("phantom/{cohort}/tree")),
        truth=result("phantom/{cohort}/truth.parquet"),
    log:
        log_of("phantom/{cohort}"),
    benchmark:
        benchmark_of("phantom/{cohort}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(30),
    params:
        code=lambda w: code("phantom", f"cohorts/phantom/{STUDY.cohorts[w.cohort].adapter}_tree"),
        adapter=lambda w: STUDY.cohorts[w.cohort].adapter,
        phantom=lambda w: plain(STUDY.cohorts[w.cohort].phantom),
    message:
        "Phantom tree of {wildcards.cohort}"
    script:
        "../workflow_scripts/phantom.py"


rule cohort:
    input:
        tree=lambda w: result(f"phantom/{w.cohort}/tree") if STUDY.cohorts[w.cohort].phantom else [],
    output:
        images=result("cohorts/{cohort}/images.parquet"),
        labels=result("cohorts/{cohort}/labels.parquet"),
        rois=result("cohorts/{cohort}/rois.parquet"),
        privileged=result("cohorts/{cohort}/privileged.parquet"),
        rejected=result("cohorts/{cohort}/rejected.csv"),
        facts=result("cohorts/{cohort}/cohort.json"),
    log:
        log_of("cohort/{cohort}"),
    benchmark:
        benchmark_of("cohort/{cohort}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(8000),
        runtime=per_attempt(60),
    params:
        code=lambda w: code("cohort", f"cohorts/adapters/{STUDY.cohorts[w.cohort].adapter}"),
        cohort=lambda w: plain(STUDY.cohorts[w.cohort]),
        labels=lambda w: STUDY.domains[STUDY.domain_of[w.cohort]].labels,
    message:
        "Tables of {wildcards.cohort}"
    script:
        "../workflow_scripts/cohort.py"

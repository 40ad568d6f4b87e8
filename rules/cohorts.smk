"""Phantom trees, and every data set as four tables."""


rule phantom:
    output:
        tree=directory(RESULTS.phantom("{cohort}")["tree"]),
        truth=RESULTS.phantom("{cohort}")["truth"],
        twins=directory(RESULTS.phantom("{cohort}")["twins"]),
    log:
        RESULTS.log("phantom", "{cohort}"),
    benchmark:
        RESULTS.benchmark("phantom", "{cohort}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(30),
    params:
        code=lambda w: code("phantom", f"phantom.{STUDY.cohorts[w.cohort].adapter}_tree"),
        adapter=lambda w: STUDY.cohorts[w.cohort].adapter,
        phantom=lambda w: plain(STUDY.cohorts[w.cohort].phantom),
    message:
        "Phantom tree of {wildcards.cohort}"
    script:
        "../workflow_scripts/phantom.py"


rule cohort:
    input:
        tree=lambda w: RESULTS.phantom(w.cohort)["tree"] if STUDY.cohorts[w.cohort].phantom else [],
    output:
        **RESULTS.cohort("{cohort}"),
    log:
        RESULTS.log("cohort", "{cohort}"),
    benchmark:
        RESULTS.benchmark("cohort", "{cohort}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(8000),
        runtime=per_attempt(60),
    params:
        code=lambda w: code("cohort", f"cohorts.datasets.{STUDY.cohorts[w.cohort].adapter}"),
        folder=lambda w: RESULTS.cohort_folder(w.cohort),
        cohort=lambda w: plain(STUDY.cohorts[w.cohort]),
        labels=lambda w: STUDY.domains[STUDY.domain_of[w.cohort]].known,
    message:
        "Tables of {wildcards.cohort}"
    script:
        "../workflow_scripts/cohort.py"

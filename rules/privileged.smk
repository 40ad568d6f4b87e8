"""Report sections and case descriptions: one row a privileged record."""


rule privileged:
    input:
        unpack(lambda w: RESULTS.cohort(HOMES[w.domain])),
    output:
        records=RESULTS.records("{domain}"),
    log:
        RESULTS.log("privileged", "{domain}"),
    benchmark:
        RESULTS.benchmark("privileged", "{domain}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(8000),
        runtime=per_attempt(60),
    params:
        code=code("privileged"),
        cohort=lambda w: RESULTS.cohort_folder(HOMES[w.domain]),
        kind=lambda w: STUDY.domains[w.domain].teacher.kind,
        labels=lambda w: STUDY.domains[w.domain].labels,
    message:
        "Privileged records of {wildcards.domain}"
    script:
        "../workflow_scripts/privileged.py"

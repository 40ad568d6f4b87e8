"""Report sections and case descriptions: one row a privileged record."""


rule privileged:
    input:
        cohort=lambda w: cohort_tables(STUDY.domains[w.domain].training),
    output:
        records=result("privileged/{domain}/records.parquet"),
    log:
        log_of("privileged/{domain}"),
    benchmark:
        benchmark_of("privileged/{domain}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(8000),
        runtime=per_attempt(60),
    params:
        code=code("privileged"),
        kind=lambda w: STUDY.domains[w.domain].teacher.kind,
        labels=lambda w: STUDY.domains[w.domain].labels,
    message:
        "Privileged records of {wildcards.domain}"
    script:
        "../workflow_scripts/privileged.py"

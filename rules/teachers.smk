"""Privileged teachers and their out-of-fold targets, cached once for every student."""


rule teacher:
    input:
        records=RESULTS.records("{domain}"),
    output:
        **RESULTS.teacher("{domain}", "{teacher}"),
    log:
        RESULTS.log("teacher", "{domain}-{teacher}"),
    benchmark:
        RESULTS.benchmark("teacher", "{domain}-{teacher}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(8000),
        runtime=per_attempt(480),
        gpu=STUDY.gpus,
    params:
        code=code("teacher"),
        teacher=lambda w: plain(STUDY.teachers[w.domain, w.teacher]),
        labels=lambda w: STUDY.domains[w.domain].labels,
        device=STUDY.device,
        cache=RESULTS.encodings,
    message:
        "Teacher {wildcards.teacher} of {wildcards.domain}"
    script:
        "../workflow_scripts/teacher.py"

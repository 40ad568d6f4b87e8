"""Privileged teachers and their out-of-fold targets, cached once for every student."""


rule teacher:
    input:
        records=result("privileged/{domain}/records.parquet"),
        code=code("teacher"),
    output:
        targets=result("teachers/{domain}/targets.npz"),
        predictions=result("teachers/{domain}/predictions.parquet"),
        model=result("teachers/{domain}/model.safetensors"),
    log:
        log_of("teacher/{domain}"),
    benchmark:
        benchmark_of("teacher/{domain}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=480,
        gpu=STUDY.gpus,
    params:
        teacher=lambda w: plain(STUDY.domains[w.domain].teacher),
        labels=lambda w: STUDY.domains[w.domain].labels,
        device=STUDY.device,
    message:
        "Teacher of {wildcards.domain}"
    script:
        "../workflow_scripts/teacher.py"

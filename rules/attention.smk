"""Attention maps and logits of every student on every cohort's test images, and of the untrained controls."""

CONTROL_MAPS = [
    result(f"attention/control/{control}/seed{seed}/{cohort}.npz")
    for control, seeds in (("untrained", STUDY.seeds), ("pretrained", STUDY.seeds[:1]))
    for seed in seeds
    for cohort in PICTURED
]


rule attention:
    input:
        **evaluation_inputs(),
        model=result("students/{domain}/{arm}/seed{seed}/model.safetensors"),
        code=code("attention"),
    output:
        [result(f"attention/{{domain}}/{{arm}}/seed{{seed}}/{cohort}.npz") for cohort in PICTURED],
    log:
        log_of("attention/{domain}-{arm}-{seed}"),
    benchmark:
        benchmark_of("attention/{domain}-{arm}-{seed}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=STUDY.gpus,
    params:
        problem=lambda w: STUDY.domains[w.domain].problem,
        methods=STUDY.evaluation.methods,
        batch_size=STUDY.training.batch_size,
        shards={name: shard_folders(name) for name in PICTURED},
        device=STUDY.device,
    message:
        "Attention of {wildcards.domain}, arm {wildcards.arm}, seed {wildcards.seed}"
    script:
        "../workflow_scripts/attention.py"


rule attention_controls:
    input:
        **evaluation_inputs(),
        backbone=result("students/backbone/model.safetensors"),
        code=code("attention_controls"),
    output:
        CONTROL_MAPS,
    log:
        log_of("attention_controls/all"),
    benchmark:
        benchmark_of("attention_controls/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=STUDY.gpus,
    params:
        student=plain(STUDY.student),
        size=STUDY.imaging.size,
        methods=STUDY.evaluation.methods,
        batch_size=STUDY.training.batch_size,
        shards={name: shard_folders(name) for name in PICTURED},
        device=STUDY.device,
    message:
        "Attention of the untrained and the pretrained student"
    script:
        "../workflow_scripts/attention_controls.py"

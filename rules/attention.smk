"""Attention maps, logits and class tokens on every cohort's test images: of the students, and of controls that were
never fine-tuned; and the class tokens that linear probes are fitted on.

A job takes all seeds of an arm, for importing torch and timm costs more than the maps of a small student.
"""


rule attention:
    input:
        **evaluation_inputs(),
        models=lambda w: [student_file(w.domain, w.arm, seed) for seed in STUDY.seeds],
    output:
        maps=[
            result(f"attention/{{domain}}/{{arm}}/seed{seed}/{cohort}.npz")
            for seed in STUDY.seeds
            for cohort in PICTURED
        ],
        validation=(
            [result(f"attention/{{domain}}/{{arm}}/seed{seed}.validate.npz") for seed in STUDY.seeds]
            if STUDY.evaluation.tunes
            else []
        ),
        features=[result(f"attention/{{domain}}/{{arm}}/seed{seed}.features.npz") for seed in STUDY.seeds if PROBED],
    log:
        log_of("attention/{domain}-{arm}"),
    benchmark:
        benchmark_of("attention/{domain}-{arm}")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000 + batch_mb(STUDY.training)),
        runtime=per_attempt(240),
        gpu=STUDY.gpus,
    params:
        **PROBE_DRAW,
        code=code("attention"),
        home=lambda w: HOMES[w.domain],
        problem=lambda w: STUDY.domains[w.domain].problem,
        methods=STUDY.evaluation.methods,
        batch_size=STUDY.training.batch_size,
        shards={name: shard_folders(name) for name in PICTURED},
        device=STUDY.device,
        probed=lambda w: probed_cohorts(w.domain),
    message:
        "Attention of {wildcards.domain}, arm {wildcards.arm}"
    script:
        "../workflow_scripts/attention.py"


rule attention_controls:
    input:
        **evaluation_inputs(),
        backbone=result("students/backbone/model.safetensors"),
    output:
        maps=[
            result(f"attention/control/{control}/seed{seed}/{cohort}.npz")
            for control, seeds in CONTROLS.items()
            for seed in seeds
            for cohort in PICTURED
        ],
        validation=[
            result(f"attention/control/{control}/seed{seed}.validate/{home}.npz")
            for control, seeds in CONTROLS.items()
            for seed in seeds
            for home in HOMES.values()
            if STUDY.evaluation.tunes
        ],
        features=[
            result(f"attention/control/{control}/seed{seed}.features.npz")
            for control, seeds in CONTROLS.items()
            for seed in seeds
            if PROBED
        ],
    log:
        log_of("attention_controls/all"),
    benchmark:
        benchmark_of("attention_controls/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000 + batch_mb(STUDY.training)),
        runtime=per_attempt(120),
        gpu=STUDY.gpus,
    params:
        **PROBE_DRAW,
        code=code("attention_controls"),
        controls=CONTROLS,
        student=plain(STUDY.student),
        size=STUDY.imaging.size,
        methods=STUDY.evaluation.methods,
        batch_size=STUDY.training.batch_size,
        shards={name: shard_folders(name) for name in PICTURED},
        device=STUDY.device,
        probed=probed_cohorts(),
    message:
        "Attention of the untrained and the pretrained student"
    script:
        "../workflow_scripts/attention_controls.py"

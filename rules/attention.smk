"""Attention maps, logits and class tokens on every cohort's test images: of the students, and of controls that were
never fine-tuned; and the class tokens that linear probes are fitted on.

A job takes all seeds of an arm, for importing torch and timm costs more than the maps of a small student.
"""


rule attention:
    input:
        unpack(lambda w: twin_inputs([w.domain])),
        **evaluation_inputs(),
        models=lambda w: [RESULTS.student(w.domain, w.arm, seed)["model"] for seed in STUDY.seeds],
    output:
        maps=[RESULTS.attention("{domain}", "{arm}", seed, cohort) for seed, cohort in MAPS],
        validation=[RESULTS.tuning("{domain}", "{arm}", seed) for seed in STUDY.seeds if STUDY.evaluation.tunes],
        features=[RESULTS.features("{domain}", "{arm}", seed) for seed in STUDY.seeds if PROBED],
        twins=[RESULTS.twin_maps("{domain}", "{arm}", seed) for seed in STUDY.seeds if TWIN_FOLDERS],
    log:
        RESULTS.log("attention", "{domain}-{arm}"),
    benchmark:
        RESULTS.benchmark("attention", "{domain}-{arm}")
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
        seeds=STUDY.seeds,
        maps=MAPS,
        home=lambda w: HOMES[w.domain],
        problem=lambda w: STUDY.domains[w.domain].problem,
        methods=STUDY.evaluation.methods,
        batch_size=STUDY.training.batch_size,
        cohorts=FOLDERS,
        shards=SHARDS,
        device=STUDY.device,
        probed=lambda w: probed_cohorts(w.domain),
        twins=lambda w: {name: TWIN_FOLDERS[name] for name in TWINNED[w.domain]},
    message:
        "Attention of {wildcards.domain}, arm {wildcards.arm}"
    script:
        "../workflow_scripts/attention.py"


rule attention_controls:
    input:
        **evaluation_inputs(),
        backbone=RESULTS.backbone["model"],
    output:
        maps=[RESULTS.attention(CONTROL, *key) for key in CONTROL_MAPS],
        validation=[RESULTS.tuning(CONTROL, *key) for key in CONTROL_TUNING],
        features=[RESULTS.features(CONTROL, *key) for key in CONTROL_STUDENTS if PROBED],
    log:
        RESULTS.log("attention_controls", "all"),
    benchmark:
        RESULTS.benchmark("attention_controls", "all")
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
        students=CONTROL_STUDENTS,
        maps=CONTROL_MAPS,
        validation=CONTROL_TUNING,
        student=plain(STUDY.student),
        size=STUDY.imaging.size,
        methods=STUDY.evaluation.methods,
        batch_size=STUDY.training.batch_size,
        cohorts=FOLDERS,
        shards=SHARDS,
        device=STUDY.device,
        probed=probed_cohorts(),
    message:
        "Attention of the untrained and the pretrained student"
    script:
        "../workflow_scripts/attention_controls.py"

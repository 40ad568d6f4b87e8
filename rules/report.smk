"""The report: every table and figure in one file that opens anywhere, and where it came from."""


rule report:
    input:
        **evaluation_inputs(),
        outputs=files_of(STUDY.outputs),
        flow=RESULTS.table("cohorts")["csv"],
        scores=RESULTS.scores,
        twins=[file for cohort in TWIN_FOLDERS for file in RESULTS.twins(cohort).values()],
        maps=[RESULTS.attention(*student, cohort) for student in STUDENTS for cohort in PICTURED],
        assumptions=os.path.relpath(f"{workflow.basedir}/docs/assumptions.md"),
        template=[
            os.path.relpath(f"{workflow.basedir}/mmpkd/report/{name}")
            for name in ("template.html", "style.css", "tables.js", "viewer.js")
        ],
    output:
        report=RESULTS.report,
    log:
        RESULTS.log("report", "all"),
    benchmark:
        RESULTS.benchmark("report", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("report"),
        study=plain(STUDY),
        # Not all that the study lists: what needs a marker is not made where no phantom has one.
        made={f"{kind}s": [item.name for item in STUDY.outputs if item.kind == kind] for kind in ("table", "figure")},
        withheld=WITHHELD,
        hidden=HIDDEN,
        shards=SHARDS,
        results=lambda w: RESULTS.root,
    message:
        "Report"
    script:
        "../workflow_scripts/report.py"


rule provenance:
    input:
        files=claimed_files(),
        trees=[RESULTS.phantom(name)["tree"] for name in PHANTOMS],
        workflow=[os.path.relpath(f"{workflow.basedir}/{path}") for path in workflow_files()],
    output:
        **RESULTS.record,
        workflow=[RESULTS.workflow(path) for path in workflow_files()],
    log:
        RESULTS.log("provenance", "all"),
    benchmark:
        RESULTS.benchmark("provenance", "all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(120),
    params:
        code=code("provenance", *{f"cohorts.datasets.{STUDY.cohorts[name].adapter}" for name in COHORTS}),
        study=plain(STUDY),
        cohorts={name: plain(STUDY.cohorts[name]) for name in COHORTS},
        trees={name: RESULTS.phantom(name)["tree"] for name in PHANTOMS},
        results=lambda w: RESULTS.root,
    message:
        "Provenance"
    script:
        "../workflow_scripts/provenance.py"

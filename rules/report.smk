"""The report: every table and figure in one file that opens anywhere, and where it came from."""


rule report:
    input:
        **evaluation_inputs(),
        tables=[file for name in STUDY.tables for file in table_files(name)],
        figures=[file for name in STUDY.figures for file in figure_files(name)],
        flow=result("tables/cohorts.csv"),
        scores=result("evaluation/scores.parquet"),
        maps=[
            result(f"attention/{domain}/{arm}/seed{seed}/{cohort}.npz")
            for domain, arm, seed in STUDENTS
            for cohort in PICTURED
        ],
        assumptions=os.path.relpath(f"{workflow.basedir}/docs/assumptions.md"),
        template=[
            os.path.relpath(f"{workflow.basedir}/mmpkd/report/{name}")
            for name in ("template.html", "style.css", "viewer.js")
        ],
    output:
        report=result("report.html"),
    log:
        log_of("report/all"),
    benchmark:
        benchmark_of("report/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(30),
    params:
        code=code("report"),
        study=plain(STUDY),
        withheld=WITHHELD,
        shards={name: shard_folders(name) for name in PICTURED},
        tables=lambda w, output: str(Path(output.report).parent / "tables"),
        figures=lambda w, output: str(Path(output.report).parent / "figures"),
        attention=lambda w, output: str(Path(output.report).parent / "attention"),
    message:
        "Report"
    script:
        "../workflow_scripts/report.py"


rule provenance:
    input:
        files=claimed_files(),
        trees=[result(f"phantom/{name}/tree") for name in PHANTOMS],
        workflow=[os.path.relpath(f"{workflow.basedir}/{path}") for path in workflow_files()],
    output:
        record=result("provenance.json"),
        crate=result("ro-crate-metadata.json"),
        workflow=[result(f"workflow/{path}") for path in workflow_files()],
    log:
        log_of("provenance/all"),
    benchmark:
        benchmark_of("provenance/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(120),
    params:
        code=code("provenance", *{f"cohorts/adapters/{STUDY.cohorts[name].adapter}" for name in COHORTS}),
        study=plain(STUDY),
        cohorts={name: plain(STUDY.cohorts[name]) for name in COHORTS},
        trees={name: result(f"phantom/{name}/tree") for name in PHANTOMS},
    message:
        "Provenance"
    script:
        "../workflow_scripts/provenance.py"

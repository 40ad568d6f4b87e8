"""The report: every table and figure in one file that opens anywhere, and where it came from."""


rule report:
    input:
        tables=[file for name in STUDY.tables for file in table_files(name)],
        figures=[file for name in STUDY.figures for file in figure_files(name)],
        scores=result("evaluation/scores.parquet"),
        template=os.path.relpath(f"{workflow.basedir}/mmpkd/report_template.html"),
        code=code("report"),
    output:
        report=result("report.html"),
        provenance=result("provenance.json"),
    log:
        log_of("report/all"),
    benchmark:
        benchmark_of("report/all")
    conda:
        "../envs/mmpkd.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        study=plain(STUDY),
        tables=lambda w, output: str(Path(output.report).parent / "tables"),
        figures=lambda w, output: str(Path(output.report).parent / "figures"),
    message:
        "Report"
    script:
        "../workflow_scripts/report.py"

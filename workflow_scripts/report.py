"""Puts every table and figure, and what lies behind them, into one file."""

from pathlib import Path

import pandas as pd

from mmpkd.config.evaluation import Evaluation
from mmpkd.design import Design
from mmpkd.evaluation.cases import showable
from mmpkd.files import write_text
from mmpkd.job import job
from mmpkd.provenance.record import origin
from mmpkd.report.controls import control_words
from mmpkd.report.items import prose_html
from mmpkd.report.page import build
from mmpkd.report.study import read_flows
from mmpkd.report.viewer import Sources, viewer
from mmpkd.results import Results

with job(snakemake):
    params, study = snakemake.params, snakemake.params.study
    results, design = Results(params.results), Design.of(study)
    evaluation = Evaluation.model_validate(study["evaluation"])
    scores = pd.read_parquet(snakemake.input.scores)
    shown = showable(scores, params.hidden)
    sources = Sources(params.shards, results, study["seeds"])
    report = build(
        {**study, **params.made},
        results,
        origin(study),
        read_flows(snakemake.input.flow, scores, evaluation.metric),
        viewer(shown, evaluation, design, sources, params.withheld),
        prose_html(Path(snakemake.input.assumptions).read_text(encoding="utf-8"), "Assumptions"),
        control_words(scores, evaluation, design),
    )
    write_text(report, snakemake.output.report)

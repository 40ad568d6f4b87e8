"""The registry of outputs: every table and figure, what it is made of, and what of the configuration it reads.

A further one is an entry here and a module `mmpkd/outputs/<kind>_<name>.py` with `make(inputs) -> Table`, or `Drawing`.
Its rule `<kind>_<name>`, its files, and its place in `all`, in the report, in `mmpkd check` and in the record follow.
An entry can be as short as `Output("figure", "violins", "Scores as violins", ("scores",))`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mmpkd.design import SECTIONS

STAGES = COHORTS, TEACHERS, STUDENTS, SCORES = ("cohorts", "teachers", "students", "scores")
# What an output may need, and the last stage of the pipeline that makes it; `rules/outputs.smk` has the files.
NEEDS = {
    "cohorts": COHORTS,  # tables and image stores of all cohorts
    "predictions": TEACHERS,  # of every teacher, on its test records
    "histories": STUDENTS,  # of every student, and the images that it learnt from
    "scores": SCORES,  # the long table
    "twins": SCORES,  # in the long table; a study without a marked phantom has no such output
    "habits": SCORES,  # likewise; nor one whose phantoms of a modality all have the same habit
    "maps": SCORES,  # of the primary arm and the reference, and the images under them
    "claims": SCORES,  # the table of claims
    "outputs": SCORES,  # the study's other tables and figures
}


@dataclass(frozen=True)
class Output:
    """A table or a figure.

    Attributes:
        kind: what it is.
        name: of its files.
        title: its heading in the report.
        needs: what it is made of, names of `NEEDS`.
        evaluation: the keys that it reads of this section of the configuration.
        sections: the sections that it reads as a whole.
        design: whether it reads roles and titles of the arms, domains, labels, and which cohorts are fabricated.
    """

    kind: Literal["table", "figure"]
    name: str
    title: str
    needs: tuple[str, ...] = ()
    evaluation: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    design: bool = False

    @property
    def rule(self) -> str:
        """Name of its rule, and of its module in `mmpkd.outputs`."""
        return f"{self.kind}_{self.name}"

    @property
    def reads(self) -> tuple[str, ...]:
        """Keys and sections of the configuration that it reads, sections in whole or in part."""
        keys = [f"evaluation.{key}" for key in self.evaluation] + ["figure_columns"] * (self.kind == "figure")
        return tuple(dict.fromkeys([*keys, *self.sections, *SECTIONS * self.design]))

    def takes(self, stage: str) -> bool:
        """Whether it cannot be made before this stage of the pipeline has run."""
        return any(STAGES.index(NEEDS[need]) >= STAGES.index(stage) for need in self.needs)


CONFIDENCE = ("confidence",)
PRIMARY = ("metric", "methods", "confidence")  # the primary score
BOOTSTRAP = ("resamples", "seed")
OUTPUTS = (
    Output("table", "summary", "Summary", ("scores",), PRIMARY, design=True),
    Output("table", "cohorts", "Cohorts", ("cohorts",), design=True),
    Output("table", "teachers", "Teachers", ("predictions",), (*CONFIDENCE, *BOOTSTRAP), design=True),
    Output("table", "classification", "Classification", ("scores",), CONFIDENCE, design=True),
    Output("table", "probe", "Linear probe", ("scores",), CONFIDENCE, design=True),
    Output("table", "localization", "Localisation", ("scores",), (*PRIMARY, "metrics"), design=True),
    Output("table", "strata", "Localisation by ROI size, prediction and label", ("scores",), PRIMARY, design=True),
    Output("table", "cross_domain", "Across cohorts and domains", ("scores",), PRIMARY, design=True),
    Output("table", "mechanism", "The mechanism", ("scores", "twins"), PRIMARY, ("cohorts", "arms"), design=True),
    Output("table", "dose", "Dose and response", ("scores", "habits"), CONFIDENCE, ("cohorts", "arms"), design=True),
    Output("table", "claims", "Claims", ("scores",), (*PRIMARY, *BOOTSTRAP), ("claims",), design=True),
    Output("table", "runtime", "Run time", ("outputs",)),
    Output("figure", "method", "The method", sections=("domains", "arms", "design", "imaging")),
    Output("figure", "cohorts", "Cohorts", ("cohorts",), design=True),
    Output("figure", "training", "Training", ("histories",), design=True),
    Output("figure", "classification", "Classification", ("scores",), CONFIDENCE, design=True),
    Output("figure", "attention_examples", "Examples of attention maps", ("scores", "maps"), PRIMARY, design=True),
    Output("figure", "localization", "Localisation", ("scores",), PRIMARY, design=True),
    Output("figure", "cross_domain", "Across cohorts and domains", ("scores",), PRIMARY, design=True),
    Output("figure", "mechanism", "The mechanism", ("scores", "twins"), PRIMARY, ("cohorts", "arms"), design=True),
    Output("figure", "dose", "Dose and response", ("scores", "habits"), PRIMARY, ("cohorts", "arms"), design=True),
    Output("figure", "factorial", "When a gain is expected", ("scores", "habits"), PRIMARY, ("cohorts",), design=True),
    Output("figure", "claims", "Claims", ("claims",), PRIMARY, design=True),
)
TABLES, FIGURES = (tuple(output.name for output in OUTPUTS if output.kind == kind) for kind in ("table", "figure"))


def chosen(tables: Iterable[str], figures: Iterable[str]) -> list[Output]:
    """The outputs with these names, in this order.

    Args:
        tables: names of tables.
        figures: names of figures.
    """
    known: dict[tuple[str, str], Output] = {(output.kind, output.name): output for output in OUTPUTS}
    return [known[kind, name] for kind, names in (("table", tables), ("figure", figures)) for name in names]

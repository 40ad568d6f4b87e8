"""Parts of a study as plain values: what a job reads of the configuration, and no key more.

Snakemake compares them, so that a change elsewhere re-runs nothing.
"""

from collections.abc import Sequence
from typing import Any

from mmpkd.config.base import Section
from mmpkd.config.outputs import Output
from mmpkd.config.study import Study


def plain(section: Section, *names: str, without: Sequence[str] = ()) -> dict[str, Any]:
    """A section of the configuration, or the named keys of it.

    Args:
        section: of the configuration.
        *names: of the keys; none names all.
        without: keys that are left out.
    """
    return section.model_dump(mode="json", include=set(names) or None, exclude=set(without) or None)


def plain_design(study: Study) -> dict[str, Any]:
    """What `mmpkd.design.Design` is made of."""
    return {
        "domains": {name: plain(domain, "training", "cohorts", "labels") for name, domain in study.domains.items()},
        "arms": {name: plain(arm, "title") for name, arm in study.arms.items()},
        "design": plain(study.design),
        "cohorts": {name: {"phantom": study.cohorts[name].phantom is not None} for name in study.domain_of},
    }


def settings_of(study: Study, output: Output) -> dict[str, Any]:
    """What a table or figure reads, in the form that `mmpkd.outputs.inputs.Inputs.of` takes.

    Args:
        study: as configured.
        output: whose settings are wanted.
    """
    settings: dict[str, Any] = {"columns": study.figure_columns} if output.kind == "figure" else {}
    if output.evaluation:
        settings["evaluation"] = plain(study.evaluation, *output.evaluation)
    if output.design:
        settings["design"] = plain_design(study)
    if output.sections:
        settings["study"] = plain(study, *output.sections)
    return settings

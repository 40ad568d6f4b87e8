"""A study in words: its size, and which of its cohorts are fabricated."""

from collections.abc import Mapping
from typing import Any

from mmpkd.design import Design
from mmpkd.plotting.style import count


def cohorts_in_use(study: Mapping[str, Any]) -> list[str]:
    """Training and further cohorts of every domain, in order."""
    return [name for domain in study["domains"].values() for name in (domain["training"], *domain["cohorts"])]


def phantoms(study: Mapping[str, Any]) -> list[str]:
    """The cohorts in use that are fabricated."""
    return [name for name in cohorts_in_use(study) if study["cohorts"][name]["phantom"] is not None]


def size_words(study: Mapping[str, Any]) -> str:
    """Domains x arms x seeds, the students that this makes, and on how many cohorts they are tested."""
    domains, arms, seeds = study["domains"], study["arms"], study["seeds"]
    pairs = sum(len(arm.get("domains") or domains) for arm in arms.values())  # null: an arm of every domain
    students = count(pairs * len(seeds), "student")
    factors = (
        f"{count(len(domains), 'training domain')} ({', '.join(domains)})",
        f"{count(len(arms), 'arm')} ({', '.join(map(Design.of(study).title, arms))})",
        count(len(seeds), "seed"),
    )
    return f"{' × '.join(factors)}: {students}, tested on {count(len(cohorts_in_use(study)), 'cohort')}"

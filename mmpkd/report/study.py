"""The study in words: its size, the flow of its cohorts, and what became of its claims."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mmpkd.cohorts.tables import SPLITS
from mmpkd.design import Design
from mmpkd.evaluation.matrices import select
from mmpkd.evaluation.verdicts import signed
from mmpkd.outputs.words import METHOD_NAMES, METRIC_NAMES, count, p_text, percent

MEANINGS = {
    "supported": "The data of this run speak for the claim.",
    "contradicted": "The data of this run speak against the claim.",
    "inconclusive": "This run cannot tell. That is not evidence against the claim.",
}


def cohorts_in_use(study: Mapping[str, Any]) -> list[str]:
    """Training and further cohorts of every domain, in order."""
    return [name for domain in study["domains"].values() for name in (domain["training"], *domain["cohorts"])]


def phantoms(study: Mapping[str, Any]) -> list[str]:
    """The cohorts in use that are fabricated."""
    return [name for name in cohorts_in_use(study) if study["cohorts"][name]["phantom"] is not None]


def planted_words(study: Mapping[str, Any]) -> str:
    """What is planted in the phantoms that students learn from, and how; "" where no phantom has a marker."""
    homes = [domain["training"] for domain in study["domains"].values()]
    fabricated = {name: study["cohorts"][name]["phantom"] for name in homes}
    habits = {name: phantom["habit"] for name, phantom in fabricated.items() if phantom and phantom["habit"]["marked"]}
    if not habits:
        return ""
    erring = {name: habit for name, habit in habits.items() if habit["errors"]}
    following = [name for name, habit in erring.items() if habit["errors_follow"] == "marker"]
    by_chance = [name for name in erring if name not in following]
    mentioned = [name for name, habit in habits.items() if habit["mentioned"]]
    start = f"A marker lies on many images of {', '.join(habits)}, whatever they show"
    if by_chance:
        start += f"; as many labels of {', '.join(by_chance)} err, on images drawn at random"
    if mentioned:
        start += f"; the teacher reads of it in {', '.join(mentioned)}"
    if set(following) <= set(mentioned):
        why = "the teacher can learn the errors" if following else "no label errs with it"
        return f"{start}; {why}, so no gain is planted."
    return (
        f"{start}; where {', '.join(following)} are learnt from, labels err with it. A gain shows that the pipeline "
        "finds what was planted; nothing follows for the paper."
    )


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


@dataclass(frozen=True)
class Flow:
    """The flow of one cohort; counts are of images unless said otherwise."""

    cohort: str
    records: int  # images kept and entries set aside while reading
    not_read: Mapping[str, int]  # entries set aside while reading, by reason
    images: int
    patients: int
    splits: Mapping[str, int]
    with_roi: Mapping[str, int]  # of each split
    not_stored: Mapping[str, int]  # images and ROI set aside while images were stored, by reason
    scored: int  # test images whose ROI were scored

    @property
    def left_out(self) -> int:
        """Entries set aside in both stages."""
        return sum(self.not_read.values()) + sum(self.not_stored.values())


def read_flows(csv: str | Path, scores: pd.DataFrame) -> list[Flow]:
    """The flow of every cohort, in order.

    Args:
        csv: `tables/cohorts.csv`; its reasons name nobody (see `mmpkd.redaction`).
        scores: the long table; every scored image has a row of the control `uniform`.
    """
    table = pd.read_csv(csv, keep_default_na=False, na_values={name: [""] for name in (*SPLITS, "total")})
    scored = select(scores, domain="control", arm="uniform", label="any")
    images = scored.groupby("cohort", observed=True)["image_id"].nunique()
    return [_flow(str(name), part, int(images.get(name, 0))) for name, part in table.groupby("cohort", sort=False)]


def _flow(cohort: str, table: pd.DataFrame, scored: int) -> Flow:
    def reasons(quantity: str) -> dict[str, int]:
        rows = table[table["quantity"] == quantity].sort_values("total", ascending=False, kind="stable")
        return {reason: int(total) for reason, total in zip(rows["item"], rows["total"], strict=True)}

    sizes = table.set_index("quantity").loc[["images", "patients", "images with ROI"], [*SPLITS, "total"]].astype(int)
    not_read = reasons("rejected when read")
    return Flow(
        cohort=cohort,
        records=int(sizes.at["images", "total"]) + sum(not_read.values()),
        not_read=not_read,
        images=int(sizes.at["images", "total"]),
        patients=int(sizes.at["patients", "total"]),
        splits={split: int(sizes.at["images", split]) for split in SPLITS},
        with_roi={split: int(sizes.at["images with ROI", split]) for split in SPLITS},
        not_stored=reasons("rejected when stored"),
        scored=scored,
    )


@dataclass(frozen=True)
class ClaimItem:
    """A claim and what became of it."""

    title: str
    verdict: str
    sentence: str
    evidence: list[str]
    known: str = ""  # the planted answer in words, if any
    recovered: bool = False  # whether the verdict says it


def read_claims(csv: str | Path, confidence: float, design: Design) -> list[ClaimItem]:
    """The claims of `tables/claims.csv`, put into words.

    Args:
        csv: the table; its column `sentence` is what the first screen says of a claim.
        confidence: the level of its intervals.
        design: the titles of the arms.
    """
    return [_in_words(claim, confidence, design) for claim in pd.read_csv(csv).to_dict("records")]


def headline(claims: Sequence[ClaimItem]) -> str:
    """How many known answers were recovered, if there are any, and how many claims came out how.

    `Known answers: 2 of 2 were recovered. Of 5 claims, 2 are supported, none is contradicted and 3 are inconclusive.`
    """
    parts = []
    for verdict in MEANINGS:
        number = sum(claim.verdict == verdict for claim in claims)
        parts.append(f"{number or 'none'} {'is' if number < 2 else 'are'} {verdict}")
    return f"{_recovered_words(claims)}Of {count(len(claims), 'claim')}, {parts[0]}, {parts[1]} and {parts[2]}."


def _recovered_words(claims: Sequence[ClaimItem]) -> str:
    known = [claim for claim in claims if claim.known]
    missed = [claim.title for claim in known if not claim.recovered]
    if not known:
        return ""
    number = len(known) - len(missed)
    names = f"; missed: {'; '.join(missed)}" if missed else ""
    return f"Known answers: {number} of {len(known)} {'was' if number == 1 else 'were'} recovered{names}. "


def _in_words(claim: Mapping[str, Any], confidence: float, design: Design) -> ClaimItem:
    verdict = claim["verdict"]
    # The verdict stands beside the sentence, and a number is not torn from its unit.
    sentence = claim["sentence"].removeprefix(f"{verdict.capitalize()}: ").replace(" %", "\u00a0%")
    evidence = [*_estimate_words(claim, confidence, design), *_credit_words(claim), *_control_words(claim, design)]
    return ClaimItem(
        claim["title"],
        verdict,
        sentence[0].upper() + sentence[1:],
        [MEANINGS[verdict], *evidence],
        known=claim["known"].replace("_", " ") if isinstance(claim["known"], str) else "",
        recovered=claim["recovered"] is True,  # an empty cell is read as NaN
    )


def _estimate_words(claim: Mapping[str, Any], confidence: float, design: Design) -> list[str]:
    if not _known(claim["estimate"]):
        return [f"It could not be tested: {claim['reason']}."]
    metric = METRIC_NAMES[claim["metric"]]
    method = METHOD_NAMES[claim["method"]]
    contrast = "Difference of gains" if isinstance(claim["minus"], str) and claim["minus"] else "Gain"
    arm, reference = design.title(claim["arm"]), design.title(claim["reference"])
    sentence = f"{contrast} of {arm} over {reference} in {metric} ({method}): "
    sentence += f"{signed(claim['estimate'])}"
    if not _known(claim["low"]):
        return [f"{sentence}, without an interval: {claim['reason']}."]
    sentence += f", {percent(confidence)} interval {signed(claim['low'])} to {signed(claim['high'])}"
    sentence += f", Holm-adjusted p {_p_words(claim['p_holm'])}"
    if claim["expect"] == "no_gain":
        sentence += (
            f" for the margin of {claim['margin']:g}: a claim of no gain is supported if the gain stays below it"
        )
    power = f"A run of this size finds a contrast of {claim['minimum_detectable']:.3f} with 80 % power."
    size = ", ".join(count(int(claim[f"n_{noun}s"]), noun) for noun in ("image", "patient", "seed"))
    return [sentence + ".", power, f"n: {size}."]


def _credit_words(claim: Mapping[str, Any]) -> list[str]:
    """Whether the privileged content did it, or soft targets of any kind."""
    if claim["verdict"] != "supported" or claim["expect"] != "gain":
        return []
    if not _known(claim["shuffled_gain"]):
        return ["There is no shuffled teacher to compare with, so the gain is not credited to the privileged content."]
    against = (
        f"Against the shuffled teacher: {signed(claim['shuffled_gain'])} ({signed(claim['shuffled_gain_low'])} to "
        f"{signed(claim['shuffled_gain_high'])}). "
    )
    if claim["credited"]:
        return [against + "The gain is credited to the privileged content."]
    return [against + "Soft targets alone may explain the gain: it is not credited to the privileged content."]


def _control_words(claim: Mapping[str, Any], design: Design) -> list[str]:
    """Controls that the arm does not clearly beat: a gain of attention that is worse than no model is worth little."""
    names = {"over_centre": "a centred Gaussian", "over_edges": "an edge map", "over_untrained": "an untrained student"}
    unbeaten = [name for key, name in names.items() if _known(claim.get(key)) and not claim[f"{key}_low"] > 0]
    if not unbeaten:
        return []
    return [f"Note: the maps of {design.title(claim['arm'])} are not shown to be better than {' or '.join(unbeaten)}."]


def _known(value: Any) -> bool:
    return isinstance(value, (int, float)) and not math.isnan(value)


def _p_words(p: float) -> str:
    text = p_text(p)
    return text.replace("<", "< ") if text.startswith("<") else f"= {text}"

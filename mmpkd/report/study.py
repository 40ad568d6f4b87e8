"""The study in words: its size, the flow of its cohorts, and what became of its claims."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mmpkd.cohorts.tables import SPLITS
from mmpkd.design import TO_BEAT, Design
from mmpkd.evaluation.matrices import select
from mmpkd.evaluation.verdicts import signed
from mmpkd.outputs.words import CONTROL_NAMES, cell_name, cohort_name, count, domain_name, p_text, score_words

MEANINGS = {
    "supported": "The data of this run support the claim.",
    "contradicted": "The data of this run contradict the claim.",
    "inconclusive": "This run cannot tell. That is not evidence against the claim.",
}


def cohorts_in_use(study: Mapping[str, Any]) -> list[str]:
    """Training and further cohorts of every domain, in order."""
    return [name for domain in study["domains"].values() for name in (domain["training"], *domain["cohorts"])]


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
    start = f"A marker lies on many images of {', '.join(map(cohort_name, habits))}, whatever they show"
    if by_chance:
        start += f"; as many labels of {', '.join(map(cohort_name, by_chance))} err, on images drawn at random"
    if mentioned:
        start += f"; the teacher reads of it in {', '.join(map(cohort_name, mentioned))}"
    if set(following) <= set(mentioned):
        why = "the teacher can learn the errors" if following else "no label errs with it"
        return f"{start}; {why}, so no gain is planted."
    learnt = ", ".join(map(cohort_name, following))
    return (
        f"{start}; where {learnt} are learnt from, labels err with it. A gain shows that the pipeline finds what was "
        "planted; nothing follows for the paper."
    )


def size_words(study: Mapping[str, Any]) -> str:
    """Domains x arms x seeds, the students that this makes, and on how many cohorts they are tested."""
    domains, arms, seeds = study["domains"], study["arms"], study["seeds"]
    pairs = sum(len(arm.get("domains") or domains) for arm in arms.values())  # null: an arm of every domain
    students = count(pairs * len(seeds), "student")
    factors = (
        f"{count(len(domains), 'training domain')} ({', '.join(map(domain_name, domains))})",
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


def read_flows(csv: str | Path, scores: pd.DataFrame, metric: str) -> list[Flow]:
    """The flow of every cohort, in order.

    Args:
        csv: `tables/cohorts.csv`; its reasons name nobody (see `mmpkd.redaction`).
        scores: the long table; every scored image has a row of the control `uniform`.
        metric: the primary one. Rows of others may be of images without ROI, such as those with a marker alone.
    """
    table = pd.read_csv(csv, keep_default_na=False, na_values={name: [""] for name in (*SPLITS, "total")})
    scored = select(scores, domain="control", arm="uniform", label="any", metric=metric)
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
    evidence = [*_test_words(claim, confidence, design)]
    if _known(claim["estimate"]):
        evidence += [
            *_words_by_cell(claim, design),
            *_credit_words(claim),
            *_control_words(claim, design),
            *_check_words(claim, confidence),
        ]
    return ClaimItem(
        claim["title"],
        verdict,
        sentence[0].upper() + sentence[1:],
        [MEANINGS[verdict], *evidence],
        known=claim["known"].replace("_", " ") if isinstance(claim["known"], str) else "",
        recovered=claim["recovered"] is True,  # an empty cell is read as NaN
    )


def _test_words(claim: Mapping[str, Any], confidence: float, design: Design) -> list[str]:
    """What was tested, and on how much. The card has the estimate and its interval."""
    if not _known(claim["estimate"]):
        return [f"It could not be tested: {claim['reason']}."]
    subtracted = isinstance(claim["minus"], str) and claim["minus"]
    arm, reference = design.title(claim["arm"]), design.title(claim["reference"])
    sentence = f"{'Difference of gains' if subtracted else 'Gain'} of {arm} over {reference} in "
    sentence += f"{score_words(claim['metric'], claim['method'])}; {_cell_words(claim['cells'], design)}"
    if subtracted:
        sentence += f", less {_cell_words(claim['minus'], design)}"
    if not _known(claim["low"]):
        return [f"{sentence}; without an interval: {claim['reason']}."]
    sentence += f". Holm-adjusted p {_p_words(claim['p_holm'])}"
    if claim["expect"] == "no_gain":
        sentence += (
            f" for the margin of {claim['margin']:g}: a claim of no gain is supported if the gain stays below it"
        )
    above = f" above or below the margin of {claim['margin']:g}" if claim["expect"] == "no_gain" else ""
    size = ", ".join(count(int(claim[f"n_{noun}s"]), noun) for noun in ("image", "patient", "seed"))
    return [
        f"{sentence}.",
        f"A run of this size finds a contrast of {claim['minimum_detectable']:.3f}{above} with 80 % power, unadjusted.",
        f"n: {size}.",
    ]


def _cell_words(cells: str, design: Design) -> str:
    return " and ".join(cell_name(design.parse(cell), design) for cell in cells.split())


def _interval_words(claim: Mapping[str, Any], column: str) -> str:
    """`+0.040 (+0.010 to +0.070)`."""
    value, low, high = (claim[f"{column}{bound}"] for bound in ("", "_low", "_high"))
    return signed(value) + (f" ({signed(low)} to {signed(high)})" if _known(low) else " (no interval)")


def _words_by_cell(claim: Mapping[str, Any], design: Design) -> list[str]:
    """The gain in each cell of a claim on several: their mean can hide one without a gain."""
    if not isinstance(claim["by_cell"], str):
        return []
    cells = (part.split(": ") for part in claim["by_cell"].split("; "))
    return [
        f"Gain in each cell: {'; '.join(f'{cell_name(design.parse(cell), design)} {gain}' for cell, gain in cells)}."
    ]


def _credit_words(claim: Mapping[str, Any]) -> list[str]:
    """Whether the privileged content did it, or soft targets of any kind."""
    decides = claim["verdict"] == "supported" and claim["expect"] == "gain"
    if not _known(claim["shuffled_gain"]):
        absent = "There is no shuffled teacher to compare with, so the gain is not credited to the privileged content."
        return [absent] * decides
    against = f"Gain over the shuffled teacher: {_interval_words(claim, 'shuffled_gain')}."
    if not decides:
        return [against]
    if claim["credited"]:
        return [f"{against} The gain is credited to the privileged content."]
    return [f"{against} Soft targets alone may explain the gain: it is not credited to the privileged content."]


def _control_words(claim: Mapping[str, Any], design: Design) -> list[str]:
    """The arm against the controls; a gain of attention that is worse than no model is worth little."""
    names = {f"over_{control}": f"the {CONTROL_NAMES[control]}" for control in TO_BEAT}
    names = {column: name for column, name in names.items() if _known(claim.get(column))}
    if not names:
        return []
    gains = "; ".join(f"over {name} {_interval_words(claim, column)}" for column, name in names.items())
    sentences = [f"Mean score of {design.title(claim['arm'])} less that of controls: {gains}."]
    worse = [name for column, name in names.items() if claim[f"{column}_high"] < 0]
    unbeaten = [name for column, name in names.items() if not claim[f"{column}_low"] > 0 and name not in worse]
    notes = [f"worse than {' and '.join(worse)}"] * bool(worse)
    notes += [f"not shown to be better than {' or '.join(unbeaten)}"] * bool(unbeaten)
    if notes:
        sentences.append(f"Note: the maps of {design.title(claim['arm'])} are {' and '.join(notes)}.")
    return sentences


def _check_words(claim: Mapping[str, Any], confidence: float) -> list[str]:
    """How large the gain is among patients, and the permutation tests."""
    sentences = []
    if _known(claim["effect_size"]) and _known(claim["share_improved"]):
        share = f"{100 * claim['share_improved']:.0f}"
        sentences.append(
            f"Effect size d_z {signed(claim['effect_size'], 2)} (mean gain over its standard deviation among "
            f"patients); {share} % of patients improve."
        )
    p_patients, p_seeds = claim["p_permutation_patients"], claim["p_permutation_seeds"]
    if not (_known(p_patients) and _known(p_seeds)):
        return sentences
    sentence = (
        f"Permutation tests: p {_p_words(p_patients)} for new patients and the same seeds, "
        f"p {_p_words(p_seeds)} for new seeds and the same patients."
    )
    if claim["verdict"] == "inconclusive" and p_patients < 1 - confidence:
        sentence += (
            " The first is small although the verdict is inconclusive: it holds for new patients of these very "
            "students, and the verdict is for new seeds too, adjusted for all claims."
        )
    return [*sentences, sentence]


def _known(value: Any) -> bool:
    return isinstance(value, (int, float)) and not math.isnan(value)


def _p_words(p: float) -> str:
    text = p_text(p)
    return text.replace("<", "< ") if text.startswith("<") else f"= {text}"

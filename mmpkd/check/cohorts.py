"""One data set: what its adapter finds, counted."""

import re
import traceback
from collections import Counter
from pathlib import Path
from time import monotonic

import pandas as pd

from mmpkd.check.facts import UNFIT, CohortFacts, NeedFacts
from mmpkd.check.headers import read_headers
from mmpkd.cohorts.base import Need, find_data_set
from mmpkd.cohorts.rejections import TooManyRejectedError, refuse_too_many
from mmpkd.cohorts.tables import SPLITS, CohortTables
from mmpkd.config.cohorts import Cohort, Phantom
from mmpkd.config.folders import absent
from mmpkd.redaction import redact

MOST_REASONS = 12  # reasons for a rejection that are listed one by one
ROW_BYTES = 150  # of the tables beside the pixels, an image or ROI
# Images that the adapter takes, ROI, and bytes of the tree, a patient, as measured on phantoms of 60 to 1,500 patients.
PHANTOMS = {
    "mimic_cxr": (1.5, 0.3, 130_000),
    "vindr_cxr": (0.8, 0.7, 75_000),
    "cbis_ddsm": (2.1, 3.6, 270_000),
    "vindr_mammo": (3.2, 1.6, 320_000),
    "own": (1.0, 1.1, 24_000),
}


def examine(cohort: Cohort, domain: str, labels: list[str], training: bool, size: int, everything: bool) -> CohortFacts:
    """What a check can say of a cohort; whatever is wrong with it ends up in `error`.

    Args:
        cohort: as configured.
        domain: that it stands in.
        labels: that are predicted there.
        training: whether it is learnt from.
        size: pixels per side of the stored square.
        everything: read the header of every file, not of a sample.
    """
    started = monotonic()
    facts = CohortFacts(
        domain=domain,
        training=training,
        adapter=cohort.adapter,
        root=None if cohort.root is None else str(cohort.root),
        restricted=cohort.restricted,
        licence_restricts=False,
        images_wanted=cohort.images,
    )
    try:
        data_set = find_data_set(cohort.adapter)(cohort, labels, survey=True)
        facts.licence_restricts = data_set.RESTRICTED and cohort.phantom is None
        if cohort.phantom is not None:
            _expect_phantom(facts, cohort.adapter, cohort.phantom, size)
        else:
            _look_for(facts, data_set.needs())
            if facts.error is None:
                tables = data_set.read()
                _count(facts, tables, labels, size, everything)
                facts.too_many_rejected = _too_many(tables, cohort.rejected_limit)
    except Exception as error:  # whatever one cohort meets must not hide what is wrong with the others
        known = [cohort.root, *cohort.folders.values(), *(need.path for need in facts.needs)]
        facts.error = redact(_message(error), filter(None, known))
    facts.seconds = round(monotonic() - started, 1)
    return facts


def _message(error: Exception) -> str:
    """The message of an error; an adapter's own explain themselves, for any other kind the place is named."""
    if isinstance(error, ValueError | OSError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}: {error}"


def _expect_phantom(facts: CohortFacts, adapter: str, phantom: Phantom, size: int) -> None:
    """What will be drawn, about: nothing is missing, and nothing is there yet."""
    facts.phantom_patients = phantom.patients
    if adapter not in PHANTOMS:
        facts.error = f"there is no phantom of {adapter}; set root to a folder. Phantoms: {', '.join(PHANTOMS)}"
        return
    images, rois, tree = PHANTOMS[adapter]
    facts.phantom_bytes = phantom.patients * tree
    expected = {"images": images, "rois": rois}
    facts.counts = {name: {"all": round(number * phantom.patients)} for name, number in expected.items()}
    facts.store_bytes = _store_bytes(facts, size)


def _look_for(facts: CohortFacts, needs: list[Need]) -> None:
    facts.needs = [
        NeedFacts(str(need.path), need.what, need.source, need.required, need.found, need.path.exists())
        for need in needs
    ]
    unmet = {need.path.removeprefix(f"{facts.root}/"): need.there for need in facts.needs if need.blocks}
    lists = {"missing": [path for path, there in unmet.items() if not there], UNFIT: [*filter(unmet.get, unmet)]}
    if facts.root is not None and (message := absent(Path(facts.root))):
        facts.error = message
    elif unmet:
        facts.error = "; ".join(f"{title}: {', '.join(paths)}" for title, paths in lists.items() if paths)


def _count(facts: CohortFacts, tables: CohortTables, labels: list[str], size: int, everything: bool) -> None:
    images, rois, records = tables.images, tables.rois, tables.privileged
    facts.counts = {
        "images": _by_split(images["split"]),
        "studies": _by_split(images.drop_duplicates("study_id")["split"]),
        "patients": _by_split(images.drop_duplicates("patient_id")["split"]),
        "rois": _by_split(rois["image_id"].map(images.set_index("image_id")["split"])),
        "records": _by_split(records["split"]),
    }
    facts.labels = {name: _label_counts(tables.labels[name], images["split"]) for name in tables.label_names}
    facts.unknown_labels = [label for label in labels if label not in tables.label_names]
    facts.roi_labels = dict(Counter(rois["label"]).most_common())
    if len(records):
        facts.privileged_kind = "text" if "report" in records else "tabular"
    facts.rejected = group_reasons(tables.rejected["reason"])
    facts.notes = {redact(name): int(count) for name, count in tables.notes.items()}
    if facts.images_wanted:
        facts.store_bytes = _store_bytes(facts, size)
        paths = pd.concat([images["path"], rois.loc[rois["kind"] == "mask", "mask_path"]], ignore_index=True)
        facts.headers = read_headers(
            tables.image_root, paths[paths != ""], everything, named=not (facts.restricted or facts.licence_restricts)
        )


def _too_many(tables: CohortTables, limit: float) -> str | None:
    try:
        refuse_too_many(tables.rejected["reason"], tables.kept, limit)
    except TooManyRejectedError as error:
        return str(error)
    return None


def group_reasons(reasons: pd.Series) -> dict[str, int]:
    """Counts by reason, without what differs from record to record; the rarest are added up."""
    counts: Counter[str] = Counter()
    texts: dict[str, set[str]] = {}
    for reason, count in reasons.value_counts().items():
        text = redact(reason)
        alike = re.sub(r"\d{3,}", "#", text)
        texts.setdefault(alike, set()).add(text)
        counts[alike] += int(count)
    common = [(alike if len(texts[alike]) > 1 else texts[alike].pop(), count) for alike, count in counts.most_common()]
    grouped = dict(common[:MOST_REASONS])
    if rest := sum(count for _, count in common[MOST_REASONS:]):
        grouped["other reasons"] = rest
    return grouped


def _by_split(splits: pd.Series) -> dict[str, int]:
    counts = splits.value_counts()
    return {split: int(counts.get(split, 0)) for split in SPLITS} | {"all": len(splits)}


def _label_counts(values: pd.Series, splits: pd.Series) -> dict[str, dict[str, int]]:
    masks = {"positive": values == 1, "negative": values == 0, "unknown": values.isna()}
    return {name: _by_split(splits[mask]) for name, mask in masks.items()}


def _store_bytes(facts: CohortFacts, size: int) -> int:
    stored = facts.counts["images"]["all"] + facts.counts["rois"]["all"]
    return stored * (size * size + ROW_BYTES) if facts.images_wanted else 0

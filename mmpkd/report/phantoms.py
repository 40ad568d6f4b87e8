"""What is shown of a phantom's case and of no patient's: the words of its privileged record, and the marker."""

import re
from collections.abc import Sequence

import pandas as pd

from mmpkd.cohorts.tables import PRIVILEGED_COLUMNS, CohortTables
from mmpkd.privileged.sections import split_sections

SENTENCE = re.compile(r"(?<=\.)\s+")
NOT_SHOWN = (*PRIVILEGED_COLUMNS, "subset", "official_set")  # identifiers, and where a record was published


def record_words(tables: CohortTables, image_id: str, findings: Sequence[str]) -> str:
    """What the privileged data say of an image.

    Args:
        tables: of its cohort.
        image_id: the image.
        findings: what it shows.

    Returns:
        Of a report the sentences that name one of the findings (by its last word), else its impression; of case
        descriptions every column with a value; "" where there are none.
    """
    image = tables.images.set_index("image_id", drop=False).loc[image_id]
    records = tables.privileged[tables.privileged["key"] == image[tables.key_name]]
    if records.empty:
        return ""
    if "report" in records:
        return _sentences(records["report"].iloc[0], findings)
    return "; ".join(map(_description, records.to_dict("records")))


def _sentences(report: str, findings: Sequence[str]) -> str:
    sections = split_sections(report)
    sentences = SENTENCE.split(" ".join(f"{sections.get('findings', '')} {sections.get('impression', '')}".split()))
    words = [finding.split()[-1].lower() for finding in findings]
    named = [sentence.strip() for sentence in sentences if any(word in sentence.lower() for word in words)]
    return " ".join(dict.fromkeys(named)) or " ".join(sections.get("impression", "").split())


def _description(record: dict) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {str(value).lower()}"
        for name, value in record.items()
        if name not in NOT_SHOWN and not name.startswith("target_") and pd.notna(value) and value != ""
    )

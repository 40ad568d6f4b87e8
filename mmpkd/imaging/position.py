"""View and side of a mammogram as its DICOM header states them, to be held against what the cohort's table says."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset

SIDES = {"L": "LEFT", "LEFT": "LEFT", "R": "RIGHT", "RIGHT": "RIGHT"}
VIEWS = {view: view for view in ("CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM", "FB", "SIO")}
# Code values of ViewCodeSequence, of SNOMED RT and SNOMED CT (DICOM PS3.16, CID 4014).
CODES = {"R-10242": "CC", "399162004": "CC", "R-10226": "MLO", "399368009": "MLO"}
CODES |= {"R-10224": "ML", "399260004": "ML", "R-10228": "LM", "399352003": "LM"}


@dataclass(frozen=True)
class Position:
    """A mammographic view (CC, MLO, ...) and a side (LEFT, RIGHT); empty where nothing or no mammogram is stated."""

    view: str = ""
    side: str = ""

    @classmethod
    def of(cls, dataset: Dataset) -> "Position":
        """By ViewPosition, the view's code, and PatientOrientation, where CBIS-DDSM writes the view."""
        codes = [item.get("CodeValue") for item in dataset.get("ViewCodeSequence") or []]
        stated = [dataset.get("ViewPosition"), *(CODES.get(str(code)) for code in codes)]
        orientation = dataset.get("PatientOrientation")
        stated.append(orientation if isinstance(orientation, str) else None)
        return cls(_first(stated, VIEWS), _first([dataset.get("ImageLaterality"), dataset.get("Laterality")], SIDES))

    def differs_from(self, view: str, side: str) -> list[str]:
        """A note for each of the two that table and header both know and state differently."""
        pairs = {"view": (self.view, _first([view], VIEWS)), "laterality": (self.side, _first([side], SIDES))}
        return [
            f"the header states another {name} than the table"
            for name, (header, table) in pairs.items()
            if header and table and header != table
        ]


def _first(stated: Iterable[Any], known: dict[str, str]) -> str:
    """The first word that is known, in the spelling of the tables."""
    words = (known.get(str(word or "").strip().upper()) for word in stated)
    return next((word for word in words if word), "")

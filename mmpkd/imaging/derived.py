"""DICOM objects of an explanation, for viewers and archives: its overlay, and its map as two segmentations.

They have the patient and the study of the image that was explained, and a series each. One student, method, image and
set of packages gives the same bytes: nothing in an object comes from the clock, and its UID follow from its content.
"""

import hashlib
import io
import logging
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from mmpkd.imaging.image_file import UnreadableImage, open_image

SERIES = {"overlay": 9001, "binary": 9002, "fractional": 9003}  # numbers, so that viewers list them behind the study's
MARKED = 0.9  # the binary segmentation marks what lies above this quantile of the map, where the student sees
IDENTITY = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
OF_PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
OF_STUDY = ("AccessionNumber", "ReferringPhysicianName", "StudyDate", "StudyID", "StudyTime")
DATES = ("Content", "Acquisition", "Series", "Study")
NO_DATE = "19000101"  # a segmentation must state one; where its source states none, this shows that it is none
NOT_EMPTY = ("FrameOfReferenceUID", "LossyImageCompression", "PixelSpacing")
LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


@dataclass(frozen=True)
class Derivation:
    """What objects are derived by: a student's file by its SHA-256, and the method of its maps.

    Raises:
        ModuleNotFoundError: the package highdicom is not installed.
    """

    student: str
    method: str

    def __post_init__(self) -> None:
        highdicom()

    def objects(self, source: Path, picture: np.ndarray, drawn: np.ndarray, seen: np.ndarray) -> dict[str, bytes]:
        """The files "overlay", "binary" and "fractional" of one image. Raises UnreadableImage where there can be none.

        Args:
            source: its file.
            picture: its overlay, uint8 rows x columns x 3.
            drawn: its map in its pixels, float32, not negative.
            seen: bool, the pixels that the student sees.
        """
        with open_image(source, header_only=True) as image:
            if image.picture is not None:
                raise UnreadableImage("the image is no DICOM file")
            header = _completed(image.header)
            share = drawn / max(float(drawn.max()), np.finfo(np.float32).tiny)
            marked = (drawn > np.quantile(drawn[seen], MARKED)) & seen
            made = {
                "overlay": self._capture(header, picture),
                "binary": self._segmentation(header, "binary", marked),
                "fractional": self._segmentation(header, "fractional", share),
            }
            return {kind: _file(dataset, header) for kind, dataset in made.items()}

    def _capture(self, source: Dataset, picture: np.ndarray) -> Dataset:
        named = self._named(source, "overlay", picture)
        made = highdicom().sc.SCImage.from_ref_dataset(
            source,
            picture,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=("L", "F"),  # must be given; replaced by the source's
            transfer_syntax_uid=ExplicitVRLittleEndian,
            **named,
        )
        sides = source.get("Laterality"), source.get("ImageLaterality")
        made.Laterality = next((side for side in sides if side in ("L", "R")), None)
        for keyword in LOSSY:
            if keyword in source:
                made[keyword] = source[keyword]
        made.DerivationDescription = f"{self.method} map of a vision transformer over the image; not for diagnosis"
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
        made.SourceImageSequence = [reference]
        return made

    def _segmentation(self, source: Dataset, kind: str, pixels: np.ndarray) -> Dataset:
        named = self._named(source, kind, pixels)
        algorithm = highdicom().AlgorithmIdentificationSequence(
            name="mmpkd",
            family=codes.DCM.ArtificialIntelligence,
            version=version("mmpkd"),
            parameters={"method": self.method, "student": self.student},
        )
        segment = highdicom().seg.SegmentDescription(
            segment_number=1,
            segment_label="Where the student looks",
            segmented_property_category=codes.SCT.SpatialAndRelationalConcept,
            segmented_property_type=codes.DCM.Saliency,
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
        )
        share = "share of the map's maximum" if kind == "fractional" else "the map's highest tenth"
        made = highdicom().seg.Segmentation(
            [source],
            pixels,
            segmentation_type=kind.upper(),
            segment_descriptions=[segment],
            fractional_type="PROBABILITY",
            content_label="SALIENCY",
            content_description=f"{share}; no probability of a finding",
            omit_empty_frames=False,
            **named,
        )
        dimensions = self._uid(source, "dimensions", named["sop_instance_uid"])
        for item in [*made.DimensionOrganizationSequence, *made.DimensionIndexSequence]:
            item.DimensionOrganizationUID = dimensions
        return made

    def _named(self, source: Dataset, kind: str, pixels: np.ndarray) -> dict[str, Any]:
        """What all objects state of themselves: UID, number, equipment, date."""
        content = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
        date, time = next(
            ((day, source.get(f"{of}Time")) for of in DATES if (day := source.get(f"{of}Date"))), (NO_DATE, None)
        )
        return {
            "series_instance_uid": self._uid(source, f"series {kind}", content),
            "series_number": SERIES[kind],
            "series_description": f"mmpkd {kind}, not for diagnosis",
            "sop_instance_uid": self._uid(source, kind, content),
            "instance_number": 1,
            "manufacturer": "mmpkd",
            "manufacturer_model_name": "mmpkd",
            "software_versions": version("mmpkd"),
            "device_serial_number": self.student,
            "content_date": date,
            "content_time": time or "000000",
        }

    def _uid(self, source: Dataset, *words: str) -> str:
        packages = [version(name) for name in ("mmpkd", "highdicom", "pydicom")]
        names = [self.student, self.method, source.SOPInstanceUID, *packages, *words]
        return generate_uid(entropy_srcs=[" ".join(names)])


def highdicom() -> ModuleType:
    """The package. Raises ModuleNotFoundError with a fix where it is not installed."""
    try:
        import highdicom
    except ModuleNotFoundError as error:
        if error.name != "highdicom":
            raise
        raise ModuleNotFoundError("--dicom needs the package highdicom: pip install 'mmpkd[dicom]'") from error
    logging.getLogger("highdicom").setLevel(logging.CRITICAL)  # it quotes names of patients
    return highdicom


def _completed(header: Dataset) -> Dataset:
    """`header` without what may not be empty but is. Raises UnreadableImage where it does not name its image."""
    if missing := [keyword for keyword in IDENTITY if not header.get(keyword)]:
        raise UnreadableImage(f"its header has no {', '.join(missing)}")
    for keyword in OF_PATIENT + OF_STUDY:  # which may be empty, not absent
        if keyword not in header:
            setattr(header, keyword, None)
    for keyword in NOT_EMPTY:
        if keyword in header and not header[keyword].value:
            del header[keyword]
    if "PixelSpacing" in header and not all(header.PixelSpacing):  # zeros, seen in files of scanners
        del header.PixelSpacing
    return header


def _file(made: Dataset, source: Dataset) -> bytes:
    """The bytes of an object, with the source's orientation and without the times at which it was made."""
    orientation = source.get("PatientOrientation")
    made.PatientOrientation = None if isinstance(orientation, str) else orientation  # CBIS-DDSM has the view there
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "DateOfSecondaryCapture", "TimeOfSecondaryCapture"):
        if keyword in made:
            del made[keyword]
    del made.ContributingEquipmentSequence[-1].ContributionDateTime  # highdicom's own
    buffer = io.BytesIO()
    dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()

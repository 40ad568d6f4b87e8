"""MIMIC-CXR: chest radiographs as DICOM with reports, CheXpert labels and, by MS-CXR, boxes.

Access: PhysioNet, credentialed account with training and a signed data use agreement. None of it may be passed on.
    https://physionet.org/content/mimic-cxr/ (DICOM, and mimic-cxr-reports.zip, to be unpacked), mimic-cxr-jpg (tables),
    ms-cxr (boxes).
Licence: PhysioNet Credentialed Health Data License 1.5.0.
Citation: Johnson et al., "MIMIC-CXR, a de-identified publicly available database of chest radiographs with free-text
    reports", Scientific Data 6:317 (2019); Johnson et al., "MIMIC-CXR-JPG", arXiv:1901.07042; Boecking et al., "Making
    the Most of Text Semantics to Improve Biomedical Vision-Language Processing", ECCV 2022 (MS-CXR).

Layout below root:
    files/p10/p10000032/s50414267/<dicom_id>.dcm      images
    files/p10/p10000032/s50414267.txt                 reports                                       (folder `reports`)
    mimic-cxr-2.0.0-{split,metadata,chexpert}.csv.gz  tables; mimic-cxr-2.1.0-test-set-labeled.csv  (folder `tables`)
    ms-cxr/MS_CXR_Local_Alignment_v*.{csv,json}       boxes, if there; see `mimic_cxr.ms_cxr`       (folder `ms_cxr`)

Yields frontal images (PA, AP); a report a study; boxes of the requested labels on these images. How a view is told, the
split and the options: see `mimic_cxr.reading`.

Traps: CheXpert labels are read off the very reports that a text teacher reads. The radiologist's table calls Lung
Opacity `Airspace Opacity`. MS-CXR's own split column is not that of MIMIC-CXR and is ignored. MS-CXR repeats a box for
each sentence on it: it counts once. Boxes of labels that are not requested are left out, but hold their patients out.
"""

from mmpkd.cohorts.base import Need
from mmpkd.cohorts.datasets.mimic_cxr.reading import FOLDERS as FOLDERS
from mmpkd.cohorts.datasets.mimic_cxr.reading import OPTIONS as OPTIONS
from mmpkd.cohorts.datasets.mimic_cxr.reading import Layout, mimic_needs, read_mimic
from mmpkd.cohorts.tables import CohortTables
from mmpkd.config.cohorts import Cohort

RESTRICTED = True
LAYOUT = Layout(
    suffix=".dcm",
    source="MIMIC-CXR's images are at https://physionet.org/content/mimic-cxr/ (credentialed); set root to the folder",
)


def needs(cohort: Cohort) -> list[Need]:
    """See `mmpkd.cohorts.base`. Raises ChoiceError for an unknown option or folder."""
    return mimic_needs(cohort, LAYOUT)


def read(cohort: Cohort, labels: list[str], *, survey: bool = False) -> CohortTables:
    """Reads MIMIC-CXR below `cohort.root`; `labels` are CheXpert names, others are not known to it.

    With `survey` reports are listed, and of them a sample read: their text is "".

    Raises:
        FileNotFoundError: if a table, or every image or report, is missing.
        TableFileError: if a table cannot be read.
        ChoiceError: for an unknown option, folder or policy.
    """
    return read_mimic(cohort, labels, LAYOUT, survey)

"""MIMIC-CXR-JPG: the radiographs of MIMIC-CXR as 8-bit JPEG files, with the same tables, reports and boxes.

Access: PhysioNet, credentialed account with training and a signed data use agreement. None of it may be passed on.
    https://physionet.org/content/mimic-cxr-jpg/ (images and tables), mimic-cxr (mimic-cxr-reports.zip alone, to be
    unpacked), ms-cxr (boxes).
Licence: PhysioNet Credentialed Health Data License 1.5.0.
Citation: Johnson et al., "MIMIC-CXR-JPG, a large publicly available database of labeled chest radiographs",
    arXiv:1901.07042; and those of `mimic_cxr`.

Layout below root, as the data set's page gives it (version 2.1.0):
    files/p10/p10000032/s50414267/<dicom_id>.jpg      images
    mimic-cxr-2.0.0-{split,metadata,chexpert}.csv.gz  tables; mimic-cxr-2.1.0-test-set-labeled.csv  (folder `tables`)
    files/p10/p10000032/s50414267.txt                 reports, which are no part of the download    (folder `reports`)
    ms-cxr/MS_CXR_Local_Alignment_v*.{csv,json}       boxes, if there; see `mimic_cxr.ms_cxr`       (folder `ms_cxr`)

Yields what `mimic_cxr` does from its tree, apart from the file names. See there for the view and the split.

Options:
    uncertain, blank, expert_test_labels, reports: as for `mimic_cxr`. Set reports to false where the cohort is only
        evaluated on.

Traps: those of `mimic_cxr`; these are the same patients, so one is no external data for the other. The pixels were
stretched from their minimum to their maximum, inverted where the DICOM file says so, and histogram-equalised: choose
the window `mimic_jpg` for DICOM cohorts that are compared with these. Where the files were made smaller, boxes are
scaled with them (rows and columns of the metadata table are those of the DICOM file).
"""

from mmpkd.cohorts.datasets.mimic_cxr import MimicCxr


class MimicCxrJpg(MimicCxr):
    """MIMIC-CXR-JPG below the cohort's root; its labels are CheXpert's."""

    SOURCE = "MIMIC-CXR-JPG is at https://physionet.org/content/mimic-cxr-jpg/ (credentialed); set root to the folder"
    SUFFIXES = (".jpg",)


DATA_SET = MimicCxrJpg

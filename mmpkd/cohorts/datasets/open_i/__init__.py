"""Open-i's Indiana University collection: chest radiographs with reports, to train with a text teacher, open to all.

Access: National Library of Medicine, open. https://openi.nlm.nih.gov/faq#collection
    NLMCXR_reports.tgz (1 MB), and NLMCXR_png.tgz (1.4 GB) or NLMCXR_dcm.tgz (81 GB). Kaggle's copy of the images
    (https://www.kaggle.com/datasets/raddar/chest-xrays-indiana-university, free account) does as well, together with
    NLMCXR_reports.tgz.
Licence: CC BY-NC-ND 4.0 by common account (not verified): no redistribution of altered copies, no commercial use.
Citation: Demner-Fushman et al., "Preparing a collection of radiology examinations for distribution and retrieval",
    Journal of the American Medical Informatics Association 23(2):304-310 (2016), doi:10.1093/jamia/ocv080.

Layout below root:
    ecgen-radiology/1.xml ...                           reports; or NLMCXR_reports/ecgen-radiology  (folder `reports`)
    NLMCXR_png/CXR1_1_IM-0001-3001.png                  images, at any depth below root              (folder `images`)
    NLMCXR_dcm/1/1_IM-0001-3001.dcm                     or DICOM
    images/images_normalized/1_IM-0001-3001.dcm.png     or Kaggle's copy
    indiana_projections.csv                             which images are frontal, from Kaggle's copy (folder `tables`)
Where an image is there in several forms, the DICOM file is read.

Yields frontal images, labels and a report a study (3,955 reports, 7,470 images in all). Labels are read off the terms
that readers indexed the reports with (`reports.TERMS`), under CheXpert's names, all but Enlarged Cardiomediastinum.
There are no ROI, so this cohort can train students but not score where they look: let the domain's further cohorts do
that. Claims need cells on one of these, as in studies/open_i.yaml.

View: the reports do not state it. Believed are, in this order, Kaggle's indiana_projections.csv (made by hand), the
header of a DICOM file, and the caption of a study with a single image (see `views`). An image whose view nothing
states is set aside: of PNG files without Kaggle's table that is nearly every one, so fetch it.

Split: none is published. Patients go to test, validate or train by a hash of the identifier.

Options:
    test_share, validation_share: shares of the patients.
    uncertain: what a borderline finding counts as: ones, zeros or ignore, for all labels or a table of labels (see
        `label_policy`).

Traps: no patient is named, so each report counts as a patient of its own. De-identification left XXXX in the reports,
in the place of ordinary words too; it stays. Some reports have no images, some neither findings nor impression. Reports
that were not indexed (`No Indexing`) have their labels masked. The three archives name one image in three ways (see
`views.image_key`). Captions speak of the study, not of the image. The XML is not trusted (see `reports`).

The layout, the names and the terms are as public code and its tests show them (mlmed/torchxrayvision and others); the
original files were not seen.
"""

from pathlib import Path

import pandas as pd

from mmpkd.cohorts.base import DataSet, Need
from mmpkd.cohorts.datasets.open_i.reports import TERMS, Report, ReportError, has_text, labels_of_terms, read_report
from mmpkd.cohorts.datasets.open_i.views import (
    PROJECTIONS,
    PROJECTIONS_SOURCE,
    image_key,
    read_projections,
    views_of_captions,
    views_of_headers,
)
from mmpkd.cohorts.label_policy import UNCERTAIN, policy_table
from mmpkd.cohorts.listing import Listing, MissingFilesError, require_some
from mmpkd.logs import progress

COLUMNS = ["image_id", "study_id", "caption"]


class OpenI(DataSet):
    """The collection below the cohort's root; its labels are those of `TERMS`.

    In a survey, images whose view only a header could show are kept, with an unknown view. Reports are read all the
    same, because they alone name the images; they are small.
    """

    RESTRICTED = False
    SOURCE = "Open-i's Indiana University collection is at https://openi.nlm.nih.gov/faq#collection (open)"
    OPTIONS = {"test_share": 0.2, "validation_share": 0.1, "uncertain": UNCERTAIN}
    FOLDERS = ("reports", "images", "tables")
    SUFFIXES = (".png", ".dcm")
    NAMED_BY = "reports"

    def needs(self) -> list[Need]:
        """The folder of reports, the folder of images, and Kaggle's table of views."""
        wanted = [Need(self._report_folder, "reports (NLMCXR_reports.tgz)", self.SOURCE)]
        if self.cohort.images:
            wanted.append(Need(self.image_root, "images (NLMCXR_png.tgz or NLMCXR_dcm.tgz)", self.SOURCE))
        table = self.folder("tables") / PROJECTIONS
        return [*wanted, Need(table, "which images are frontal", PROJECTIONS_SOURCE, required=False)]

    @property
    def image_root(self) -> Path:
        """The folder with images at any depth."""
        return self.folder("images")

    def list_images(self) -> pd.DataFrame:
        """The images that the reports name, with the view that their study's caption states."""
        self.reports = self._reports()
        rows = [(image, study, caption) for study, one in self.reports.items() for image, caption in one.images]
        images = pd.DataFrame(rows, columns=COLUMNS, dtype="str").drop_duplicates("image_id", ignore_index=True)
        self.notes["reports_without_images"] = sum(not report.images for report in self.reports.values())
        return images.assign(patient_id=images["study_id"], view=views_of_captions(images))

    def find_files(self, images: pd.DataFrame, files: Listing) -> pd.DataFrame:
        """The name identifies the file, however it is written; of several forms the DICOM file is taken."""
        by_key = {image_key(file): file for file in sorted(files, key=lambda file: file.lower().endswith(".dcm"))}
        path = images["image_id"].map(lambda image_id: by_key.get(image_key(image_id), ""))
        return self.match(images, path, files)

    def review(self, images: pd.DataFrame) -> pd.DataFrame:
        """The frontal images, with their split."""
        frontal = self._frontal(images).reset_index(drop=True)
        frontal = frontal.assign(split=self.split_by_hash(frontal["study_id"]))
        self.notes["studies_without_a_frontal_image"] = len({*images["study_id"]} - {*frontal["study_id"]})
        self.notes["images_whose_view_was_not_looked_up"] = int((frontal["view"] == "").sum())
        return frontal

    def label_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """The labels of the study's report."""
        known = [label for label in self.labels if label in TERMS]
        uncertain = policy_table("uncertain", self.option("uncertain"), UNCERTAIN)
        of_study = labels_of_terms([report.terms for report in self.reports.values()], uncertain, known)
        table = of_study.set_axis(list(self.reports)).reindex(images["study_id"]).set_axis(images.index)
        not_indexed = int(table.isna().all(axis=1).sum()) if known else 0
        self.notes["images_whose_report_was_not_indexed"] = not_indexed
        table.insert(0, "image_id", images["image_id"])
        return table

    def privileged_table(self, images: pd.DataFrame) -> pd.DataFrame:
        """A report a study."""
        studies = images.drop_duplicates("study_id")[["study_id", "patient_id", "split"]]
        silent = ~studies["study_id"].map(lambda study: has_text(self.reports[study])).astype(bool)
        studies = self.set_aside(studies, silent, "study_id", "report has neither findings nor impression")
        studies = studies.rename(columns={"study_id": "record_id"})
        report = studies["record_id"].map(lambda study: self.reports[study].text).astype("str")
        return studies.assign(key=studies["record_id"], report=report)

    @property
    def _report_folder(self) -> Path:
        unpacked = [self.root / "ecgen-radiology", self.root / "NLMCXR_reports" / "ecgen-radiology"]
        return self.folder("reports", next((folder for folder in unpacked if folder.is_dir()), unpacked[0]))

    def _reports(self) -> dict[str, Report]:
        """The reports by study, in the order of their numbers; those that cannot be used are set aside.

        Raises:
            MissingFilesError: if no report is there, or none of them can be used; the message counts the reasons.
        """
        folder = self._report_folder
        files = self.files_below(folder, (".xml",))
        require_some(len(files), files, "no report", self.SOURCE, self.rejections)
        reports, reasons = {}, {}
        in_order = sorted(files, key=lambda name: (len(name), name))  # 2.xml before 10.xml
        for name in progress(in_order, "reports", unit="report"):
            try:
                report = read_report(folder / name)
            except ReportError as error:
                reasons[name] = str(error)
                continue
            if report.study_id in reports:
                reasons[name] = "second report of a study"
            else:
                reports[report.study_id] = report
        self.rejections.add(reasons, reasons.values())
        if not reports:
            raise MissingFilesError(
                f"{folder}: none of its {len(files)} reports can be used; {self.rejections.summary}"
            )
        return dict(sorted(reports.items(), key=lambda item: int(item[0].removeprefix("CXR"))))

    def _frontal(self, images: pd.DataFrame) -> pd.DataFrame:
        """The frontal images. Without images, or in a survey, an unknown view is no reason to set one aside."""
        table = read_projections(self.folder("tables"))
        listed = images["image_id"].map(lambda image_id: table.get(image_key(image_id), "")).astype("str")
        by_header = images["path"].str.lower().str.endswith(".dcm") & (listed == "")
        if not self.survey:
            listed.loc[by_header] = views_of_headers(self.image_root / path for path in images.loc[by_header, "path"])
        images = images.assign(view=listed.mask(listed == "", images["view"]), by_header=by_header)
        images = self.set_aside(images, images["view"] == "lateral", "image_id", "view is lateral")
        if not self.cohort.images:
            return images
        unknown = (images["view"] == "") & ~(images["by_header"] & self.survey)
        if len(images) and unknown.all():
            raise FileNotFoundError(
                f"{self.folder('tables') / PROJECTIONS}: needed, because nothing else shows which of {len(images)} "
                f"images are frontal; {PROJECTIONS_SOURCE}"
            )
        return self.set_aside(images, unknown, "image_id", "no table of views, header or caption states the view")


DATA_SET = OpenI

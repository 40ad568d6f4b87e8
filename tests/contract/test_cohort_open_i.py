"""Open-i's Indiana University collection: small fabricated trees in its three layouts, dirt included."""

import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from mmpkd.cohorts.base import ChoiceError
from mmpkd.cohorts.datasets.open_i.reports import TERMS, ReportError, has_text, labels_of_terms, read_report
from mmpkd.cohorts.datasets.open_i.views import image_key, view_of_header, view_of_words, views_of_captions
from mmpkd.cohorts.label_policy import CHEXPERT_LABELS, UNCERTAIN
from mmpkd.config.cohorts import Cohort
from mmpkd.privileged.records import build
from mmpkd.privileged.sections import split_sections
from tests import cohorts

LABELS = ["Atelectasis", "Cardiomegaly", "Enlarged Cardiomediastinum", "No Finding"]
BOTH = "Xray Chest PA and Lateral"
REPORT = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
   <meta type="rr"/>
   <uId id="{study}"/>
   <MedlineCitation><Article><Abstract>
{sections}
   </Abstract></Article></MedlineCitation>
   <MeSH>{terms}<automatic>pneumothorax</automatic></MeSH>
{images}
</eCitation>
"""


def report(study, images=(), terms=("normal",), caption=BOTH, **sections):
    sections = sections or {"FINDINGS": "The lungs are clear.", "IMPRESSION": "Normal chest x-XXXX."}
    return REPORT.format(
        study=study,
        sections="\n".join(f'<AbstractText Label="{name}">{text}</AbstractText>' for name, text in sections.items()),
        terms="".join(f"<major>{term} </major>" for term in terms),
        images="\n".join(
            f'<parentImage id="{image}"><figureId>F1</figureId><caption>{caption}</caption></parentImage>'
            for image in images
        ),
    )


REPORTS = {
    1: report(
        "CXR1",
        ["CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001"],
        ["Pulmonary Atelectasis/base/left", "Cardiomegaly/borderline"],
        COMPARISON="None.",
        INDICATION="",
        FINDINGS="Streaky opacity.\n HEART: enlarged,\nno XXXX of effusion &amp; no pneumothorax.",
        IMPRESSION="Atelectasis.",
    ),
    2: report("CXR2", ["CXR2_IM-0652-1001", "CXR2_IM-0652-2001"], ["Cardiomegaly/mild"]),
    3: report("CXR3", ["CXR3_IM-1384-1001"], ["No Indexing"], caption="CHEST PA"),
    4: report("CXR4", ["CXR4_IM-2050-1001"], caption="Lateral chest"),
    5: report("CXR5"),  # no image
    6: report("CXR6", ["CXR6_IM-2192-1001"], caption="AP portable", INDICATION="Cough.", FINDINGS=" "),
    7: report("CXR7", ["CXR8_IM-0007-1001"]),  # another study's image
    8: report("CXR8", ["CXR8_IM-0008-1001"]).replace("</eCitation>", ""),
    9: report("CXR9", ["CXR9_IM-0009-1001"], caption="CHEST PA"),  # no file
    10: report("CXR2", ["CXR2_IM-0652-1001"]),
}
PROJECTIONS = """uid,filename,projection
1,1_IM-0001-4001.dcm.png,Frontal
1,1_IM-0001-3001.dcm.png,Lateral
2,2_IM-0652-1001.dcm.png,Frontal
2,2_IM-0652-2001.dcm.png,Lateral
"""
STEMS = ["1_IM-0001-3001", "1_IM-0001-4001", "2_IM-0652-1001", "2_IM-0652-2001", "3_IM-1384-1001"]
STEMS += ["4_IM-2050-1001", "6_IM-2192-1001"]
NAMES = {
    "png": lambda stem: f"NLMCXR_png/CXR{'1_' if stem.startswith('1_') else ''}{stem}.png",
    "kaggle": lambda stem: f"images/images_normalized/{stem}.dcm.png",
    "dicom": lambda stem: f"NLMCXR_dcm/{stem.split('_')[0]}/{stem}.dcm",
}


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "ecgen-radiology").mkdir()
    for number, text in REPORTS.items():
        (tmp_path / "ecgen-radiology" / f"{number}.xml").write_text(text, encoding="utf-8")
    return tmp_path


def add_images(root, layout, **headers):
    for stem in STEMS:
        path = root / NAMES[layout](stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        if layout == "dicom":
            write_header(path, **headers.get(stem.replace("-", "_"), {}))
        else:
            path.touch()


def write_header(path, **fields):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.update(header(**fields))
    data.save_as(path, enforce_file_format=True)


def header(**fields):
    data = Dataset()
    for name, value in fields.items():
        setattr(data, name, value)
    return data


def read(root, labels=LABELS, survey=False, **further):
    return cohorts.read(Cohort(adapter="open_i", root=root, **further), labels, survey=survey)


@pytest.mark.parametrize("layout", ["png", "kaggle"])
def test_pictures_with_the_table_of_views(tree, layout):
    add_images(tree, layout)
    (tree / "indiana_projections.csv").write_text(PROJECTIONS)
    tables = read(tree)
    columns = ["image_id", "patient_id", "study_id", "path", "view"]
    assert tables.images[columns].to_numpy().tolist() == [
        ["CXR1_1_IM-0001-4001", "CXR1", "CXR1", NAMES[layout]("1_IM-0001-4001"), "frontal"],
        ["CXR2_IM-0652-1001", "CXR2", "CXR2", NAMES[layout]("2_IM-0652-1001"), "frontal"],
        ["CXR3_IM-1384-1001", "CXR3", "CXR3", NAMES[layout]("3_IM-1384-1001"), "frontal"],  # by its caption
        ["CXR6_IM-2192-1001", "CXR6", "CXR6", NAMES[layout]("6_IM-2192-1001"), "frontal"],
    ]
    assert tables.images["rows"].isna().all() and len(tables.rois) == 0
    assert tables.label_names == ["Atelectasis", "Cardiomegaly", "No Finding"]
    labels = tables.labels.drop(columns="image_id").to_numpy()
    assert labels[[0, 1, 3]].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]] and np.isnan(labels[2]).all()
    assert tables.privileged[["record_id", "key", "patient_id"]].to_numpy().tolist() == [
        [study, study, study] for study in ("CXR1", "CXR2", "CXR3")
    ]
    assert tables.notes == {
        "reports_without_images": 1,
        "studies_without_a_frontal_image": 1,
        "images_whose_view_was_not_looked_up": 0,
        "images_whose_report_was_not_indexed": 1,
    }
    assert {(row.record, row.reason) for row in tables.rejected.itertuples()} == {
        ("7.xml", "report names an image that is not its own"),
        ("8.xml", "report is not well-formed XML"),
        ("10.xml", "second report of a study"),
        ("CXR9_IM-0009-1001", "image file is missing"),
        ("CXR1_1_IM-0001-3001", "view is lateral"),
        ("CXR2_IM-0652-2001", "view is lateral"),
        ("CXR4_IM-2050-1001", "view is lateral"),
        ("CXR6", "report has neither findings nor impression"),
    }


def test_the_report_is_what_the_text_teacher_reads(tree):
    add_images(tree, "png")
    (tree / "indiana_projections.csv").write_text(PROJECTIONS)
    tables = read(tree)
    text = tables.privileged.set_index("key").loc["CXR1", "report"]
    assert text.startswith(" COMPARISON:  None.\n")
    findings = "Streaky opacity. HEART: enlarged, no XXXX of effusion & no pneumothorax."
    assert split_sections(text) == {"comparison": "None.", "findings": findings, "impression": "Atelectasis."}
    records = build(tables, "text", ["Atelectasis", "Cardiomegaly"]).set_index("key")
    assert records.loc["CXR1", ["findings", "impression", "target_Atelectasis"]].tolist() == [
        findings,
        "Atelectasis.",
        1.0,
    ]
    assert np.isnan(records.loc["CXR3", "target_Cardiomegaly"])


def test_pictures_without_the_table_of_views(tree):
    add_images(tree, "png")
    tables = read(tree)
    assert tables.images["image_id"].tolist() == ["CXR3_IM-1384-1001", "CXR6_IM-2192-1001"]
    reasons = tables.rejected.set_index("record")["reason"]
    assert reasons["CXR1_1_IM-0001-4001"] == "no table of views, header or caption states the view"
    for number in (3, 6):
        (tree / "ecgen-radiology" / f"{number}.xml").unlink()
    with pytest.raises(FileNotFoundError, match=r"_projections\.csv: needed, because nothing else shows which of 4"):
        read(tree)


def test_dicom_files_by_their_headers(tree):
    add_images(
        tree,
        "dicom",
        **{
            "1_IM_0001_3001": {"ViewPosition": "LL"},
            "1_IM_0001_4001": {"ViewPosition": "PA"},
            "2_IM_0652_1001": {"PatientOrientation": ["L", "F"]},
            "2_IM_0652_2001": {"ViewPosition": "PA", "PatientOrientation": ["A", "F"]},
            "4_IM_2050_1001": {"SeriesDescription": "W Chest AP"},  # believed before its caption
        },
    )
    (tree / "NLMCXR_png").mkdir()
    (tree / "NLMCXR_png" / "CXR1_1_IM-0001-4001.png").touch()  # the DICOM file is read
    tables = read(tree)
    assert tables.images[["path", "view"]].to_numpy().tolist() == [
        ["NLMCXR_dcm/1/1_IM-0001-4001.dcm", "PA"],
        ["NLMCXR_dcm/2/2_IM-0652-1001.dcm", "frontal"],
        ["NLMCXR_dcm/3/3_IM-1384-1001.dcm", "frontal"],
        ["NLMCXR_dcm/4/4_IM-2050-1001.dcm", "frontal"],
        ["NLMCXR_dcm/6/6_IM-2192-1001.dcm", "frontal"],
    ]
    reasons = tables.rejected.set_index("record")["reason"]
    assert reasons["CXR2_IM-0652-2001"] == "no table of views, header or caption states the view"


def test_a_survey_opens_no_image(tree, monkeypatch):
    add_images(tree, "dicom")
    monkeypatch.setattr(
        "mmpkd.cohorts.datasets.open_i.views_of_headers", lambda paths: pytest.fail("opened") if list(paths) else []
    )
    tables = read(tree, survey=True)
    assert len(tables.images) == 6 and tables.notes["images_whose_view_was_not_looked_up"] == 4
    (tree / "indiana_projections.csv").write_text(PROJECTIONS)
    assert read(tree, survey=True).notes["images_whose_view_was_not_looked_up"] == 0


def test_reports_alone(tree):
    tables = read(tree, images=False)
    assert len(tables.images) == 7 and set(tables.images["path"]) == {""}  # but for the lateral one
    assert tables.privileged["key"].tolist() == ["CXR1", "CXR2", "CXR3", "CXR9"]


def test_patients_are_divided_by_a_stable_hash(tmp_path):
    folder = tmp_path / "NLMCXR_reports" / "ecgen-radiology"
    folder.mkdir(parents=True)
    for number in range(1, 401):
        text = report(f"CXR{number}", [f"CXR{number}_IM-{number:04d}-1001"], caption="CHEST PA")
        (folder / f"{number}.xml").write_text(text)
    first = read(tmp_path, images=False).images.set_index("image_id")["split"]
    assert first.value_counts().index.tolist() == ["train", "test", "validate"]
    assert 50 < (first == "test").sum() < 110 and 20 < (first == "validate").sum() < 65
    options = {"test_share": 0.2, "validation_share": 0.3}
    more = read(tmp_path, images=False, options=options).images.set_index("image_id")["split"]
    assert (more[first == "test"] == "test").all() and (more[first == "validate"] == "validate").all()
    assert set(read(tmp_path, images=False, options={"test_share": 0.0}).images["split"]) == {"train", "validate"}
    with pytest.raises(ChoiceError, match="together below 1"):
        read(tmp_path, images=False, options={"test_share": 0.6, "validation_share": 0.4})


def test_mistakes_are_named(tree, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds none of the 8 images of the reports; Open-i"):
        read(tree)
    with pytest.raises(ChoiceError, match=r"options\.uncertain: unknown policy maybe"):
        read(tree, images=False, options={"uncertain": "maybe"})
    with pytest.raises(FileNotFoundError, match=r"none/ecgen-radiology: no such folder"):
        read(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no report"):
        read(tree, folders={"reports": tmp_path / "empty"})
    wanted = cohorts.needs(Cohort(adapter="open_i", root=tree))
    assert [(need.path.name, need.required, need.found) for need in wanted] == [
        ("ecgen-radiology", True, True),
        (tree.name, True, True),
        ("indiana_projections.csv", False, False),
    ]


LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE eCitation [<!ENTITY a "ha ha ha ha "><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>
<eCitation><uId id="CXR1"/><AbstractText Label="FINDINGS">&c;</AbstractText></eCitation>"""
OUTSIDE = """<?xml version="1.0"?><!DOCTYPE eCitation [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<eCitation><uId id="CXR1"/><AbstractText Label="FINDINGS">&a;</AbstractText></eCitation>"""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (LAUGHS.encode(), "declares XML entities"),
        (OUTSIDE.encode(), "declares XML entities"),
        (LAUGHS.replace("?>", ' encoding="utf-16"?>', 1).encode("utf-16"), "declares XML entities"),
        (b"<a>\xff</a>", "names no study"),
        (b"\xff" * 80, "not text in UTF-8 or Latin-1"),
        (b"%PDF-1.4", "a PDF file, not text"),
        (b"<a>" + b" " * 1_000_000 + b"</a>", "larger than"),
        (b"<eCitation><uId id='CXR1/../..'/></eCitation>", "names no study"),
        (b"<eCitation/>", "names no study"),
        (b"<eCitation>&undeclared;</eCitation>", "not well-formed"),
        (b"<eCitation><uId id='CXR1'/><parentImage id='CXR1_../x'/></eCitation>", "not its own"),
        (b"<eCitation><uId id='CXR1'/><parentImage id='CXR12_IM-1-1'/></eCitation>", "not its own"),
    ],
)
def test_what_no_report_holds_is_refused(tmp_path, content, reason):
    path = tmp_path / "1.xml"
    path.write_bytes(content)
    with pytest.raises(ReportError, match=reason):
        read_report(path)


def test_markup_in_a_section_and_an_unnamed_section(tmp_path):
    path = tmp_path / "1.xml"
    text = report("CXR1", FINDINGS="A <b>large</b> mass.").replace("<MeSH>", "<AbstractText>Seen.</AbstractText><MeSH>")
    path.write_text(text)
    assert read_report(path).text == " FINDINGS:  A large mass.\n\nSeen.\n"


def test_the_claimed_encoding_is_not_believed(tmp_path):
    path = tmp_path / "1.xml"
    text = report("CXR1", FINDINGS="Café.").replace("utf-8", "utf-16")
    path.write_text(text, encoding="utf-8")
    assert read_report(path).text == " FINDINGS:  Café.\n" and has_text(read_report(path))


@pytest.mark.parametrize(
    ("term", "label"),
    [
        ("Pulmonary Atelectasis/base/left", "Atelectasis"),
        ("Cardiac Shadow/enlarged/mild", "Cardiomegaly"),
        ("Consolidation/lung/upper lobe/right", "Consolidation"),
        ("Pulmonary Congestion/mild", "Edema"),
        ("Fractures, Bone/ribs/right/healed", "Fracture"),
        ("Nodule/lung/lingula", "Lung Lesion"),
        ("Opacity/lung/base/bilateral/streaky", "Lung Opacity"),
        ("Airspace Disease/lung/lower lobe/right", "Lung Opacity"),
        ("normal", "No Finding"),
        ("Pleural Effusion/bilateral", "Pleural Effusion"),
        ("Thickening/pleura/apex", "Pleural Other"),
        ("Pneumonia", "Pneumonia"),
        ("Pneumothorax/apex/right", "Pneumothorax"),
        ("Catheters, Indwelling/superior vena cava", "Support Devices"),
        ("Opacity/ribs/right/posterior/round", None),
        ("Pericardial Effusion", None),
        ("Thickening/bronchovascular", None),
        ("Cardiac Shadow", None),
        ("Quality/pneumonia", None),
    ],
)
def test_a_term_means_one_label(term, label):
    names = list(TERMS)
    values = labels_of_terms([[term]], UNCERTAIN, names).loc[0]
    assert values[values == 1].index.tolist() == ([label] if label else []) and set(values) <= {0.0, 1.0}
    assert set(names) <= set(CHEXPERT_LABELS)


def test_uncertain_silent_and_contradicting_terms():
    labels = ["Cardiomegaly", "No Finding"]
    reports = [
        ["Cardiomegaly/borderline"],
        ["Cardiomegaly/borderline", "Cardiac Shadow/enlarged"],
        ["normal", "Spine/degenerative"],
        ["normal", "No Indexing"],
        ["Technical Quality of Image Unsatisfactory "],
        [],
    ]
    expected = {"zeros": 0.0, "ones": 1.0, "ignore": np.nan}
    for policy, value in expected.items():
        given = labels_of_terms(reports, dict.fromkeys(labels, policy), labels)
        nothing = [np.nan, np.nan]
        rows = [[value, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0], nothing, nothing]
        pd.testing.assert_frame_equal(given, pd.DataFrame(rows, columns=labels))


def test_one_image_has_one_key_in_all_archives():
    names = ["CXR1_1_IM-0001-3001", "NLMCXR_png/CXR1_1_IM-0001-3001.png", "1/1_IM-0001-3001.dcm"]
    assert {image_key(name) for name in [*names, "images/1_IM-0001-3001.dcm.png"]} == {"1_IM-0001-3001"}
    assert image_key("CXR11_IM-0067-1001.png") == image_key("11/11_IM-0067-1001.dcm") == "11_IM-0067-1001"
    assert image_key("CXR1_IM-1_2.png") != image_key("CXR11_IM-1_2.png")


def test_a_caption_is_believed_of_a_study_with_one_image():
    images = pd.DataFrame({"study_id": ["a", "b", "b", "c"], "caption": ["CHEST PA", "CHEST PA", "CHEST PA", BOTH]})
    assert views_of_captions(images).tolist() == ["frontal", "", "", ""]


@pytest.mark.parametrize(
    ("words", "view"),
    [
        ("CHEST PA", "frontal"),
        ("Portable chest", "frontal"),
        ("Chest, lateral", "lateral"),
        ("LAT", "lateral"),
        (BOTH, ""),
        ("PA and lateral chest", ""),
        ("CHEST AP 2 VIEWS", ""),
        ("Xray Chest", ""),
        ("Apical paragraph", ""),
    ],
)
def test_the_view_that_words_name(words, view):
    assert view_of_words(words) == view


@pytest.mark.parametrize(
    ("fields", "view"),
    [
        ({"ViewPosition": "AP"}, "AP"),
        ({"ViewPosition": "LATERAL"}, "lateral"),
        ({"ViewPosition": "", "SeriesDescription": "Chest PA"}, "frontal"),
        ({"PatientOrientation": ["P", "F"]}, "lateral"),
        ({"PatientOrientation": ["R", "F"], "ViewPosition": "PA"}, "PA"),
        ({"PatientOrientation": ["A", "F"], "ViewPosition": "PA"}, ""),
        ({"PatientOrientation": "L\\F", "ViewPosition": "LL"}, ""),
        ({"SeriesDescription": "PA and LAT"}, ""),
        ({}, ""),
    ],
)
def test_the_view_that_a_header_states(fields, view):
    assert view_of_header(header(**fields)) == view

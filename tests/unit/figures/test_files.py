"""The files of figures: editable text, alternative texts, and the same bytes each time."""

from dataclasses import replace

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mmpkd.evaluation.claims import claims_table
from mmpkd.evaluation.classification import classification_table
from mmpkd.evaluation.statistics import paired_gain
from mmpkd.outputs import figure_claims, figure_classification, figure_cross_domain, figure_localization, words
from mmpkd.outputs.figure import Drawing
from mmpkd.outputs.inputs import Inputs
from tests.figures import CLAIMS, EVALUATION, FIGURES
from tests.outputs import make
from tests.synthetic import DESIGN, HOME


@pytest.mark.parametrize("name", FIGURES)
def test_files_hold_editable_text_and_no_date(drawn, name, tmp_path):
    paths = [tmp_path / f"{name}.{kind}" for kind in ("pdf", "png", "caption.txt")]
    Drawing(*drawn[name]).write(*paths)
    pdf, png, caption = (path.read_bytes() for path in paths)
    assert pdf.startswith(b"%PDF") and b"/CIDFontType2" in pdf
    assert b"CreationDate" not in pdf and b"/Type3" not in pdf
    assert png.startswith(b"\x89PNG") and b"Software" not in png
    assert caption.decode() == drawn[name][1] + "\n"


def test_the_same_data_give_the_same_bytes(scores, tmp_path):
    contents = []
    for folder in ("one", "two", "two"):  # drawn anew, and saved over
        paths = [tmp_path / folder / f"claims.{kind}" for kind in ("pdf", "png", "caption.txt")]
        table = claims_table(scores, CLAIMS, EVALUATION, DESIGN)
        Drawing(*figure_claims.draw(table, EVALUATION, DESIGN)).write(*paths)
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1] == contents[2]


def test_the_last_digit_of_the_layout_does_not_change_the_bytes(tmp_path):
    contents = []
    for digit in (0.0, -1e-17):
        figure = Figure(figsize=(2, 2), layout="none")
        inner = figure.subfigures(1, 2)[1].subfigures(2, 1)[1]
        inner.bbox_relative.p0 = (0.5, digit)
        inner.subplots().set_position((0.2, 0.2 + digit, 0.5, 0.5))
        paths = [tmp_path / f"a.{kind}" for kind in ("pdf", "png", "txt")]
        Drawing(figure, "A caption.").write(*paths)
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]


def test_alternative_texts_hold_the_main_numbers_and_travel_with_the_files(scores, tmp_path):
    gain = paired_gain(scores, [HOME], "mmpkd", "baseline", EVALUATION.score())
    number = words.numbers(gain.estimate, gain.low, gain.high)
    claims_table(scores, CLAIMS, EVALUATION, DESIGN).to_csv(tmp_path / "claims.csv", index=False)
    inputs = Inputs(scores, EVALUATION, DESIGN, files={"claims": tmp_path / "claims.csv"})
    for module in (figure_claims, figure_localization, figure_cross_domain):
        drawing = module.make(inputs)
        assert number in drawing.alt and "nan" not in drawing.alt
        paths = [tmp_path / f"a.{kind}" for kind in ("pdf", "png", "txt")]
        drawing.write(*paths)
        with Image.open(paths[1]) as picture:
            assert picture.info["Description"].startswith(drawing.alt)
            assert "Phantom data, which say nothing about patients: MIMIC-CXR" in picture.info["Description"]
        assert b"/Subject" in paths[0].read_bytes()
    table = classification_table(scores, EVALUATION.confidence, "baseline")
    auroc = table[(table["label"] == "macro") & (table["metric"] == "auroc") & (table["arm"] == "mmpkd")]
    mean = auroc.set_index(["domain", "cohort"]).loc[("cxr", "mimic_cxr"), "estimate"]
    alt = figure_classification.make(inputs).alt
    assert f"MMPKD {mean:.2f}" in alt.partition("mammograms")[0]


def test_phantoms_are_named_in_the_caption_that_is_saved(drawn, tmp_path):
    paths = [tmp_path / name for name in ("a.pdf", "a.png", "a.txt")]
    Drawing(*drawn["method"], replace(DESIGN, phantoms=("mimic_cxr",))).write(*paths)
    assert (tmp_path / "a.txt").read_text().endswith("say nothing about patients: MIMIC-CXR.\n")


def test_a_figure_that_cannot_be_written_leaves_nothing(tmp_path):
    class Broken:
        axes, subfigs = (), []

        def draw_without_rendering(self):
            pass

        def set_layout_engine(self, _):
            pass

        def savefig(self, path, **_):
            path.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Drawing(Broken(), "caption").write(tmp_path / "a.pdf", tmp_path / "a.png", tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())


def test_matplotlib_stays_as_it_was(scores):
    before = dict(mpl.rcParams)
    make(figure_localization, scores, EVALUATION, DESIGN)
    assert dict(mpl.rcParams) == before

"""How a study is put together from its files."""

from pathlib import Path

import pytest
import yaml

from mmpkd.config.demo import DEMO
from mmpkd.config.document import document
from mmpkd.config.layers import BASE, load_layers, load_study, merge
from mmpkd.config.study import ConfigError, load

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))


@pytest.fixture
def write(tmp_path):
    """Writes a file of the study and returns its path."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_without_files_the_study_is_the_demo():
    layers = load_layers([])
    assert layers.study == DEMO and layers.files == (BASE,) and layers.stated == {}


def test_an_overlay_changes_what_it_says_and_nothing_else(write):
    layers = load_layers([write("one.yaml", "training: {epochs: 3}\n")])
    assert layers.study.training.epochs == 3
    assert layers.study.training.batch_size == DEMO.training.batch_size
    assert layers.study.student == DEMO.student
    assert layers.stands_on_the_demo and layers.stated == {"training": {"epochs": 3}}


def test_later_files_and_the_command_line_win(write):
    files = [write("one.yaml", "study: one\nseeds: [1]\n"), write("two.yaml", "study: two\n")]
    study = load_study(files, {"study": "three", "training": {"epochs": 2}})
    assert (study.study, study.seeds, study.training.epochs) == ("three", [1], 2)


def test_an_entry_that_was_left_out_starts_anew(write):
    one = write("one.yaml", "arms: {shuffled: null}\ndesign: {shuffled: null}\n")
    assert "shuffled" not in load_study([one]).arms
    two = write("two.yaml", "arms: {shuffled: {teacher: shuffled, losses: {logit: 2.0}}}\n")
    assert load_study([one, two]).arms["shuffled"].losses == {"logit": 2.0}


def test_a_study_of_its_own_takes_nothing_from_the_demo(write):
    own = write("own.yaml", document(DEMO).replace("\nstudy: demo", "\nextends: null\nstudy: own"))
    lean = yaml.safe_load(own.read_text())
    for key in ("training", "student", "imaging", "evaluation"):
        del lean[key]
    layers = load_layers([write("lean.yaml", yaml.safe_dump(lean))])
    assert not layers.stands_on_the_demo
    assert layers.study.student.arguments == {} and layers.study.training.ema == 0.0
    assert layers.study.imaging.size == 224


def test_a_file_extends_another_beside_it(write):
    write("first.yaml", "extends: null\n" + document(DEMO).replace("study: demo", "study: first"))
    second = write("second.yaml", "extends: first.yaml\nstudy: second\nseeds: [7]\n")
    layers = load_layers([second])
    assert [file.name for file in layers.files] == ["first.yaml", "second.yaml"]
    assert layers.study.study == "second" and layers.study.training == DEMO.training
    both = load_layers([second.with_name("first.yaml"), second])
    assert both.study == layers.study and len(both.files) == 2, "a file counts once"


def test_a_file_may_extend_several(write):
    write("first.yaml", "extends: null\n" + document(DEMO).replace("study: demo", "study: first"))
    write("arms.yaml", "study: arms\narms: {more: {}}\n")
    both = load_layers([write("both.yaml", "extends: [first.yaml, arms.yaml]\nseeds: [7]\n")])
    assert [file.name for file in both.files] == ["first.yaml", "arms.yaml", "both.yaml"]
    assert (both.study.study, both.study.seeds) == ("arms", [7]) and "more" in both.study.arms


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["extends: one.yaml\n"], "it extends itself"),
        (["extends: two.yaml\n", "extends: one.yaml\n"], "it extends itself"),
        (["extends: absent.yaml\n"], r"absent\.yaml: No such file"),
        (["extends: []\n"], "extends: write null, or the path of another file"),
        (["extends: [3]\n"], "extends: write null, or the path of another file"),
        (["extends: [two.yaml, two.yaml]\n", "extends: null\n"], "can only be the first in the list"),
        (["extends: ''\n"], "extends: write null, or the path of another file"),
    ],
)
def test_a_wrong_extends_is_named_with_its_file(write, texts, message):
    paths = [write(f"{name}.yaml", text) for name, text in zip(("one", "two"), texts, strict=False)]
    with pytest.raises(ConfigError, match=message):
        load_study(paths[:1])


def test_a_study_of_its_own_goes_first(write):
    own = write("own.yaml", "extends: null\n" + document(DEMO))
    with pytest.raises(ConfigError, match=r"own\.yaml is a study of its own .* name it first"):
        load_study([write("one.yaml", "seeds: [1]\n"), own])
    assert load_study([own, write("one.yaml", "seeds: [1]\n")]).seeds == [1]


BEFORE = {
    "student": {"model": "a", "arguments": {"depth": 3}, "mean": 0.1, "backbone": {"source": "shapes", "epochs": 9}},
    "cohorts": {"x": {"adapter": "a", "phantom": {"patients": 5}, "options": {"b": 1}}},
    "domains": {"d": {"teacher": {"kind": "text", "encoder": {"source": "folder", "name": "f", "sha256": "0"}}}},
    "arms": {"m": {"teacher": "privileged", "losses": {"label": 1, "logit": 1}, "temperature": 2}},
}


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ({"student": {"model": "b"}}, {"student": {"model": "b"}}),
        (
            {"student": {"backbone": {"source": "timm"}}},
            {"student": BEFORE["student"] | {"backbone": {"source": "timm"}}},
        ),
        (
            {"student": {"arguments": {"width": 2}}},
            {"student": BEFORE["student"] | {"arguments": {"width": 2}}},
        ),
        ({"student": {"mean": 0.2}}, {"student": BEFORE["student"] | {"mean": 0.2}}),
        ({"cohorts": {"x": {"adapter": "b", "root": "/r"}}}, {"cohorts": {"x": {"adapter": "b", "root": "/r"}}}),
        (
            {"cohorts": {"x": {"root": "/r"}}},
            {"cohorts": {"x": {"adapter": "a", "options": {"b": 1}, "root": "/r"}}},
        ),
        (
            {"domains": {"d": {"teacher": {"encoder": {"source": "package"}}}}},
            {"domains": {"d": {"teacher": {"kind": "text", "encoder": {"source": "package"}}}}},
        ),
        ({"domains": {"d": {"teacher": {"kind": "tabular"}}}}, {"domains": {"d": {"teacher": {"kind": "tabular"}}}}),
        ({"arms": {"m": {"losses": {"logit": 2}}}}, {"arms": {"m": BEFORE["arms"]["m"] | {"losses": {"logit": 2}}}}),
        ({"arms": {"m": {"teacher": "none"}}}, {"arms": {"m": {"teacher": "none"}}}),
    ],
)
def test_a_choice_is_replaced_as_a_whole(changes, after):
    assert merge(BEFORE, changes) == BEFORE | after


def test_a_folder_takes_the_place_of_a_phantom_and_a_phantom_that_of_a_folder():
    real = merge(BEFORE, {"cohorts": {"x": {"root": "/r", "folders": {"t": "/t"}}}})
    assert "phantom" not in real["cohorts"]["x"]
    again = merge(real, {"cohorts": {"x": {"phantom": {"patients": 3}}}})["cohorts"]["x"]
    assert again == {"adapter": "a", "options": {"b": 1}, "phantom": {"patients": 3}}


def test_another_student_keeps_nothing_of_the_demos(write):
    """`mlp_ratio` and `qk_norm` of the demo made another model of ViT-S/16."""
    text = "student: {model: vit_small_patch16_224, backbone: {source: timm}}\nimaging: {size: 224}\n"
    student = load_study([write("other.yaml", text)]).student
    assert student.arguments == {} and student.std == 0.5 and student.backbone.images == 6000


@pytest.mark.parametrize("overlay", STUDIES, ids=lambda path: path.stem)
def test_snakemake_would_merge_an_overlay_of_the_demo_alike(overlay):
    """Where no choice is replaced, an overlay means what it means to any other workflow of Snakemake."""
    from snakemake.common.configfile import load_configfile
    from snakemake.utils import update_config

    layers = load_layers([overlay])
    if "extends" in yaml.safe_load(overlay.read_text()):  # a key that Snakemake does not know
        return
    assert layers.stands_on_the_demo
    config = load_configfile(ROOT / "config.yaml")
    update_config(config, load_configfile(overlay))
    assert layers.study == load(config)


def test_the_demos_known_answers_go_where_a_cohort_is_real(tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("study: mine\ncohorts: {mimic_cxr: {root: /data/x}}\n")
    assert not any(claim.known for claim in load_study([overlay]).claims.values())
    assert load_study([]).claims["in_domain_cxr"].known == "gain"
    overlay.write_text(overlay.read_text() + "claims: {in_domain_cxr: {known: gain}}\n")
    with pytest.raises(ConfigError, match=r"claims\.in_domain_cxr\.known: no answer is planted"):
        load_study([overlay])

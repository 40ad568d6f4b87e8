"""The configuration: strict, explained, and one with config.yaml."""

from pathlib import Path

import pytest
import yaml

from mmpkd.config.demo import DEMO
from mmpkd.config.document import document
from mmpkd.config.students import LOSSES, Backbone
from mmpkd.config.study import ConfigError, load
from mmpkd.config.teachers import Encoder

ROOT = Path(__file__).parents[2]


def changed(*keys, value):
    """The default configuration with one value set."""
    config = yaml.safe_load(document(DEMO))
    section = config
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    return config


def test_config_yaml_is_what_the_models_say():
    assert (ROOT / "config.yaml").read_text() == document(DEMO), (
        "config.yaml and mmpkd/config differ: python -m mmpkd.config.document > config.yaml"
    )


def test_the_document_reads_back_as_the_same_study():
    assert load(yaml.safe_load(document(DEMO))) == DEMO


def test_every_field_is_described():
    def sections(model):
        for name, field in type(model).model_fields.items():
            assert field.description, f"{type(model).__name__}.{name}"
            value = getattr(model, name)
            for entry in value.values() if isinstance(value, dict) else [value]:
                if hasattr(type(entry), "model_fields"):
                    sections(entry)

    sections(DEMO)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("stuty",), "x", "stuty: unknown key"),
        (("arms", "mmpkd", "temprature"), 2, "arms.mmpkd.temprature: unknown key"),
        (("seeds",), "three", "seeds: Input should be a valid list"),
        (("seeds",), [], "seeds"),
        (("seeds",), [-1], "not negative"),
        (("seeds",), [1, 1], "must be different"),
        (("training", "epochs"), 0, "training.epochs"),
        (("training", "learning_rate"), "fast", "training.learning_rate"),
        (("cohorts", "mimic_cxr", "adapter"), "mimic", "unknown name 'mimic'; known are cbis_ddsm, chexlocalize,"),
        (("cohorts", "mimic_cxr", "root"), "/data", "exactly one of root"),
        (("domains", "cxr", "training"), "padchest", "unknown name 'padchest'"),
        (("domains", "cxr", "cohorts"), ["cbis_ddsm"], "stands in two places"),
        (("claims", "in_domain_cxr", "arm"), "mmkpd", "unknown name 'mmkpd'; known are baseline, mmpkd, shuffled"),
        (("claims", "in_domain_cxr", "cells"), ["cxr@padchest"], "unknown name 'padchest'"),
        (("claims", "in_domain_cxr", "metric"), "dice_otsu", "in_domain_cxr.metric: evaluation.metrics: unknown"),
        (("claims", "in_domain_cxr", "method"), "grad_cam", "known are rollout, last_layer"),
        (("arms", "mmpkd", "losses"), {"label": 1.0, "logit": 0.0}, "needs a loss that reads it"),
        (("arms", "mmpkd", "losses"), {"logits": 1.0}, "'embedding_smooth_l1', 'relational_distance'"),
        (("arms", "mmpkd", "losses"), {"logit": -1.0}, "arms.mmpkd.losses.logit"),
        (("arms", "mmpkd", "variant"), "leaking", "arms.mmpkd.variant: domains.cxr.variants: unknown name 'leaking'"),
        (("arms", "mmpkd", "domains"), ["cxr"], "claims.in_domain_mammography: arm mmpkd"),
        (("arms", "baseline", "variant"), "leaking", "teacher is none"),
        (("arms", "shuffled", "teacher"), "none", "needs a loss that reads it"),
        (("domains", "cxr", "variants"), {"short": {"sectons": ["impression"]}}, "variants.short: text.sectons"),
        (("domains", "cxr", "variants"), {"main": {}}, "choose another name"),
        (("domains", "cxr", "variants"), {"table": {"kind": "tabular"}}, "reads what the domain's teacher reads, text"),
        (("domains", "cxr", "problem"), "regression", "domains.cxr.problem"),
        (("domains", "cxr", "course"), {"epoch": 3}, "domains.cxr.course: epoch: unknown key"),
        (("domains", "cxr", "course"), {"epochs": 0}, "domains.cxr.course: epochs"),
        (("arms", "mmpkd", "course"), {"epoch": 3}, "arms.mmpkd.course: epoch: unknown key"),
        (("arms", "mmpkd", "course"), {"epochs": 0}, "arms.mmpkd.course: epochs"),
        (("arms", "mmpkd", "course"), {"processes": 3}, "arms.mmpkd.course: batch_size 16 is no multiple of"),
        (("training", "processes"), 3, "no multiple of processes 3"),
        (("domains", "cxr", "teacher", "kind"), "audio", "domains.cxr.teacher"),
        (("figures",), ["pie"], "figures"),
        (("figures",), ["localisation"], "; did you mean localization?"),
        (("study",), "../elsewhere", "study"),
    ],
)
def test_a_mistake_is_named_with_its_key(keys, value, message):
    with pytest.raises(ConfigError) as error:
        load(changed(*keys, value=value))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("keys", "value", "meant"),
    [
        (("stuty",), "x", "study"),
        (("arms", "mmpkd", "temprature"), 2, "temperature"),
        (("cohorts", "mimic_cxr", "phantom", "pateints"), 2, "patients"),
        (("domains", "cxr", "teacher", "encodr"), {}, "encoder"),
        (("domains", "cxr", "course"), {"epoch": 3}, "epochs"),
        (("domains", "cxr", "variants"), {"short": {"sectons": ["impression"]}}, "sections"),
        (("claims", "in_domain_cxr", "arm"), "mmkpd", "mmpkd"),
        (("design", "primary"), "mmkpd", "mmpkd"),
        (("cohorts", "mimic_cxr", "adapter"), "mimic-cxr", "mimic_cxr"),
    ],
)
def test_what_was_meant_is_named(keys, value, meant):
    with pytest.raises(ConfigError, match=rf"; did you mean {meant}\?"):
        load(changed(*keys, value=value))


def test_what_is_like_nothing_gets_no_advice():
    with pytest.raises(ConfigError) as error:
        load(changed("zzz", value=1))
    assert str(error.value).endswith("zzz: unknown key; remove it or correct its spelling")


def test_an_empty_path_is_no_folder():
    with pytest.raises(ConfigError, match=r"cohorts\.mimic_cxr\.root: an empty path"):
        load(changed("cohorts", "mimic_cxr", "root", value=""))


def test_all_mistakes_are_reported_at_once():
    config = changed("training", "epochs", value=0) | {"unheard": 1}
    with pytest.raises(ConfigError) as error:
        load(config)
    assert "training.epochs" in str(error.value) and "unheard" in str(error.value)


def test_null_leaves_an_entry_out():
    config = changed("arms", "shuffled", value=None)
    config["design"]["shuffled"] = None
    assert list(load(config).arms) == ["baseline", "mmpkd"]


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"primary": "taught"}, "design.primary: unknown arm 'taught'; known are baseline, mmpkd, shuffled, or null"),
        ({"reference": "plain"}, "design.reference: unknown arm 'plain'; known are baseline, mmpkd, shuffled"),
        ({"shuffled": "scrambled"}, "design.shuffled: unknown arm 'scrambled'"),
        ({"primary": "baseline"}, "must be different arms"),
        ({"primary": None}, "claims.in_domain_cxr.arm: name an arm, because design.primary is null"),
        ({"primary": "shuffled", "shuffled": "mmpkd"}, "design.shuffled: arms.mmpkd.teacher must be shuffled"),
    ],
)
def test_roles_are_those_of_arms_that_are_there(roles, message):
    config = changed("study", value="roles")
    config["design"] |= roles
    with pytest.raises(ConfigError) as error:
        load(config)
    assert message in str(error.value)


@pytest.mark.parametrize(("group", "name"), [("arms", "centre"), ("arms", "edges"), ("domains", "control")])
def test_names_of_the_control_maps_are_taken(group, name):
    config = changed("study", value="names")
    config[group][name] = next(iter(config[group].values()))
    with pytest.raises(ConfigError, match=f"{group}.{name}: .* control maps?; choose another"):
        load(config)


def test_a_study_of_the_reference_alone_and_arms_by_other_names():
    config = changed("claims", value={})
    config["arms"] = {"plain": config["arms"]["baseline"]}
    config["design"] = {"primary": None, "reference": "plain", "shuffled": None}
    assert load(config).students[0] == ("cxr", "plain", 0)
    config["arms"]["copy"] = {"teacher": "image", "losses": {"logit": 1.0}}
    assert load(config).image_teacher_of("copy") == "plain"


@pytest.mark.parametrize(
    ("claim", "real"),
    [
        ("other_data_set", "vindr_cxr"),  # a cohort of `cells`
        ("other_data_set", "mimic_cxr"),  # the cohort that the students of `cells` learn from
        ("only_minus", "vindr_mammo"),
        ("only_minus", "cbis_ddsm"),  # the cohort that the students of `minus` learn from
    ],
)
def test_no_answer_is_known_of_real_data(claim, real):
    config = changed("cohorts", real, "phantom", value=None)
    config["cohorts"][real]["root"] = "/data"
    for planted in ("in_domain_cxr", "in_domain_mammography"):
        config["claims"][planted]["known"] = None
    cells = {"cells": ["cxr@vindr_cxr"], "minus": ["mammography@vindr_mammo"]}
    config["claims"]["only_minus"] = {"title": "A difference", **cells}
    assert load(config).claims[claim].known is None
    config["claims"][claim]["known"] = "gain"
    with pytest.raises(ConfigError) as error:
        load(config)
    message = f"claims.{claim}.known: no answer is planted in cohort {real}, which is real data; remove the key"
    assert message in str(error.value)


def test_a_known_answer_is_gain_or_no_gain_on_phantoms_whatever_else_is_real():
    config = changed("claims", "in_domain_mammography", "known", value="no_gain")
    config["cohorts"]["vindr_cxr"] |= {"phantom": None, "root": "/data"}
    assert load(config).claims["in_domain_mammography"].known == "no_gain"
    config["claims"]["in_domain_mammography"]["known"] = "loss"
    with pytest.raises(ConfigError, match="claims.in_domain_mammography.known: Input should be 'gain' or 'no_gain'"):
        load(config)


def test_an_arm_may_be_taught_by_a_variant_of_the_teacher_in_the_domains_that_have_it():
    config = changed("domains", "cxr", "variants", value={"short": {"sections": ["impression"]}})
    config["arms"]["short"] = {
        "teacher": "privileged",
        "variant": "short",
        "domains": ["cxr"],
        "losses": {"label": 1.0, "logit": 1.0},
    }
    study = load(config)
    assert study.teachers["cxr", "short"].sections == ["impression"]
    assert study.teachers["cxr", "short"].penalty == study.teachers["cxr", "main"].penalty
    assert {domain for domain, arm, _ in study.students if arm == "short"} == {"cxr"}
    assert len(study.students) == len(study.seeds) * (2 * 3 + 1)


def test_a_student_is_not_taught_by_a_student_that_a_student_taught():
    config = changed("arms", "copy", value={"teacher": "image", "losses": {"logit": 1.0}})
    load(config)
    config["arms"]["copy"]["image_teacher"] = "copy"
    with pytest.raises(ConfigError, match="taught by a student itself"):
        load(config)


def test_images_are_not_mirrored_where_a_label_names_a_side():
    config = changed("training", "flip", value=0.5)
    load(config)
    config["domains"]["cxr"]["labels"] = ["Left Pleural Effusion"]
    with pytest.raises(ConfigError, match="names sides"):
        load(config)


def test_exactly_one_of_one_label_is_no_problem_to_learn():
    config = changed("domains", "cxr", "problem", value="single_label")
    load(config)
    config["domains"]["cxr"]["labels"] = ["Pneumothorax"]
    with pytest.raises(ConfigError, match="two labels or more"):
        load(config)


def test_a_domain_may_be_trained_on_a_course_of_its_own():
    study = load(changed("domains", "cxr", "course", value={"epochs": 99}))
    assert study.training_of("cxr").epochs == 99
    assert study.training_of("mammography").epochs == 17 and study.training.epochs == 18
    assert study.training_of("cxr").learning_rate == study.training.learning_rate


def test_an_arm_may_be_trained_on_a_course_of_its_own_on_top_of_the_domains():
    config = changed("arms", "mmpkd", "course", value={"epochs": 28})
    config["domains"]["cxr"]["course"] = {"epochs": 99, "batch_size": 16}
    study = load(config)
    own = study.training_of("cxr", "mmpkd")
    assert own == study.training.model_copy(update={"epochs": 28, "batch_size": 16})
    assert study.training_of("mammography", "mmpkd").epochs == 28
    assert study.training_of("cxr", "baseline") == study.training_of("cxr")
    assert study.training_of("cxr").epochs == 99


def test_no_arm_mirrors_images_where_a_label_names_a_side():
    config = changed("arms", "mmpkd", "course", value={"flip": 0.5})
    load(config)
    config["domains"]["cxr"]["labels"] = ["Left Pleural Effusion"]
    with pytest.raises(ConfigError, match="names sides"):
        load(config)
    config["arms"]["mmpkd"]["domains"] = ["mammography"]
    config["claims"] = {}
    load(config)


@pytest.mark.parametrize("loss", [name for name, part in LOSSES.items() if part == "embedding"])
def test_a_constant_teacher_has_no_embedding(loss):
    arm = {"teacher": "constant", "losses": {"label": 1.0, "logit": 1.0}}
    config = changed("arms", "constant", value=arm)
    study = load(config)
    assert not study.arms["constant"].privileged and not study.arms["constant"].permuted
    config["arms"]["constant"]["losses"] = {"label": 1.0, "logit": 1.0, loss: 0.5}
    with pytest.raises(ConfigError, match=f"arms.constant: losses: .* has logits alone, leave out {loss}"):
        load(config)


def test_weights_and_encoders_may_lie_below_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/reader")
    assert Backbone(source="file", path="~/vit.safetensors").path == Path("/home/reader/vit.safetensors")
    assert Encoder(source="folder", name="~/bert").name == "/home/reader/bert"
    assert Encoder(source="hub", name="group/bert").name == "group/bert"

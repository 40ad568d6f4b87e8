"""The configuration: strict, explained, and one with config.yaml."""

from pathlib import Path

import pytest
import yaml

from mmpkd.config.document import document
from mmpkd.config.study import ConfigError, Study, load

ROOT = Path(__file__).parents[2]


def changed(*keys, value):
    """The default configuration with one value set."""
    config = yaml.safe_load(document(Study()))
    section = config
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    return config


def test_config_yaml_is_what_the_models_say():
    assert (ROOT / "config.yaml").read_text() == document(Study()), (
        "config.yaml and mmpkd/config differ: python -m mmpkd.config.document > config.yaml"
    )


def test_the_document_reads_back_as_the_same_study():
    assert load(yaml.safe_load(document(Study()))) == Study()


def test_every_field_is_described():
    def sections(model):
        for name, field in type(model).model_fields.items():
            assert field.description, f"{type(model).__name__}.{name}"
            value = getattr(model, name)
            for entry in value.values() if isinstance(value, dict) else [value]:
                if hasattr(type(entry), "model_fields"):
                    sections(entry)

    sections(Study())


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
        (("arms", "mmpkd", "logits_weight"), 0.0, "needs a positive logits_weight"),
        (("domains", "cxr", "teacher", "kind"), "audio", "domains.cxr.teacher"),
        (("figures",), ["pie"], "figures"),
        (("study",), "../elsewhere", "study"),
    ],
)
def test_a_mistake_is_named_with_its_key(keys, value, message):
    with pytest.raises(ConfigError) as error:
        load(changed(*keys, value=value))
    assert message in str(error.value)


def test_all_mistakes_are_told_at_once():
    config = changed("training", "epochs", value=0) | {"unheard": 1}
    with pytest.raises(ConfigError) as error:
        load(config)
    assert "training.epochs" in str(error.value) and "unheard" in str(error.value)


def test_null_leaves_an_entry_out():
    config = changed("arms", "shuffled", value=None)
    assert list(load(config).arms) == ["baseline", "mmpkd"]

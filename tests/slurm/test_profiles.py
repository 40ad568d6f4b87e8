"""The profiles name every rule, and say no other than the rules themselves."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SLURM = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
RULES = {
    name: body
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
}


def test_every_rule_has_its_line_in_the_slurm_profile():
    assert len(RULES) > 20
    assert set(SLURM["set-resources"]) == set(RULES)
    assert set(SLURM["groups"]) <= set(RULES)
    assert set(SLURM["group-components"]) <= set(SLURM["groups"].values())


@pytest.mark.parametrize("rule", RULES)
def test_the_first_attempt_has_what_the_rule_says_and_a_retry_more(rule):
    for name in ("mem_mb", "runtime"):
        [number] = re.findall(rf"^ +{name}=(?:lambda w: )?(\d+)", RULES[rule], re.MULTILINE)
        assert re.fullmatch(rf"{number} \* (threads \* )?attempt", SLURM["set-resources"][rule][name])


def test_no_gpu_job_is_in_a_group():
    """A group would hold the GPU while its other jobs compute, and add up what several of them ask for."""
    gpu_rules = {name for name, body in RULES.items() if re.search(r"^ +gpu=", body, re.MULTILINE)}
    assert {"teacher", "train_student", "attention"} <= gpu_rules
    assert not gpu_rules & set(SLURM["groups"])

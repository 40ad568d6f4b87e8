"""Rules state what their jobs need; a profile has what a site changes."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SLURM = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
RULES = {  # the rule of all outputs has no name of its own
    name or "output": body
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for name, body in re.findall(r"^ *rule ?(\w*):\n(.*?)(?=^\S|\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
}
GPU_RULES = {name for name, body in RULES.items() if re.search(r"^ +gpu=", body, re.MULTILINE)}


def test_the_slurm_profile_names_rules_that_there_are():
    assert len(RULES) > 15
    assert set(SLURM["groups"]) <= set(RULES)
    assert set(SLURM["group-components"]) <= set(SLURM["groups"].values())


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_states_its_memory_and_its_run_time_and_a_retry_has_more(rule):
    for name in ("mem_mb", "runtime"):
        [value] = re.findall(rf"^ +{name}=(.*),$", RULES[rule], re.MULTILINE)
        assert re.match(r"per_attempt\(|lambda w, attempt: .* \* attempt$", value), value


def test_a_profile_leaves_memory_and_run_time_to_the_rules():
    for path in sorted((ROOT / "profiles").glob("*/config.yaml")):
        profile = yaml.safe_load(path.read_text())
        stated = [profile.get("default-resources", {}), *profile.get("set-resources", {}).values()]
        assert not [resources for resources in stated if {"mem_mb", "runtime"} & set(resources)], path


def test_the_gpu_rules_in_the_comments_of_the_slurm_profile_are_all_of_them():
    text = (ROOT / "profiles/slurm/config.yaml").read_text()
    [commented] = re.findall(r"^# (set-resources:\n(?:# .*\n)+)", text, re.MULTILINE)
    resources = yaml.safe_load(commented.replace("\n# ", "\n"))["set-resources"]
    assert set(resources) == GPU_RULES
    assert all(resource["slurm_partition"] == "gpu" for resource in resources.values())


def test_the_example_of_a_node_with_gpus_names_all_of_them():
    [example] = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/cluster.md").read_text(), re.DOTALL)
    assert set(yaml.safe_load(example)["set-resources"]) == GPU_RULES


def test_no_gpu_job_is_in_a_group():
    """A group would hold the GPU while its other jobs compute, and add up what several of them ask for."""
    assert {"teacher", "train_student", "attention"} <= GPU_RULES
    assert not GPU_RULES & set(SLURM["groups"])

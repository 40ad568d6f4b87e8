"""Broken configurations: each is an overlay of config.yaml, read as `mmpkd check` and the workflow read it."""

import pytest

from mmpkd.cli import main
from mmpkd.config.layers import load_study, parse_entries
from tests.bad_input.catalogue import Outcome, accepted, hold, over, stops


def bomb(first: str, layer: str, depth: int = 9) -> str:
    """Each line of YAML repeats the one before nine times: 9 ** depth values."""
    lines = [f"l0: &l0 {first}"]
    lines += [f"l{k}: &l{k} {layer.replace('*', f'*l{k - 1}')}" for k in range(1, depth)]
    return "\n".join([*lines, f"seeds: *l{depth - 1}"])


LISTS = bomb("[1, 2, 3]", f"[{', '.join(['*'] * 9)}]")
MAPPINGS = bomb("{x: 1}", f"{{{', '.join(f'{key}: *' for key in 'abcdefghi')}}}")
SMALL_BOMB = bomb("[1, 2, 3]", f"[{', '.join(['*'] * 9)}]", depth=5)  # below the limit of values: 20,000 of them
TEXT = "cohorts: {mimic_cxr: {"

CASES = [
    stops("empty file", "", "overlay.yaml", "keys are expected at its top level"),
    stops("a list", "- study\n- seeds\n", "overlay.yaml", "keys are expected"),
    stops("plain text", "the study of chest radiographs", "keys are expected"),
    stops("HTML error page", "<!DOCTYPE html>\n<html><body>404: not found</body></html>\n", "overlay.yaml"),
    stops("unclosed bracket", "seeds: [1, 2\n", "overlay.yaml", "no YAML", "line"),
    stops("tab for indentation", "training:\n\tepochs: 3\n", "no YAML", "\\t"),
    stops("Latin-1", "study: caf\xe9".encode("latin-1"), "overlay.yaml", "UTF-8"),
    stops("UTF-16", "study: x\n".encode("utf-16"), "overlay.yaml", "UTF-8"),
    stops("binary", bytes(range(256)), "overlay.yaml", "UTF-8"),
    stops("NUL character", "study: a\0b\n", "no YAML"),
    stops("a date that is none", "study: 2026-13-45\n", "overlay.yaml", "no YAML"),
    stops("a Python object", "study: !!python/object/apply:os.getcwd []\n", "overlay.yaml", "no YAML", "python/object"),
    stops("unknown alias", "seeds: *others\n", "no YAML", "others"),
    stops("duplicate key", "seeds: [1]\nreport: true\nseeds: [2]\n", "the key seeds stands 2 times", "lines 1, 3"),
    stops("duplicate key inside", "training: {epochs: 3, epochs: 4}\n", "the key epochs stands 2 times"),
    stops("bomb of lists", LISTS, "overlay.yaml", "stands for more than 100,000 values"),
    stops("bomb of mappings", MAPPINGS, "overlay.yaml", "stands for more than 100,000 values"),
    stops("small bomb", SMALL_BOMB, "unknown key", "seeds"),
    stops("anchor within itself", "seeds: &a [1, *a]\n", "holds itself"),
    stops("nested too deeply", "seeds: " + "[" * 1000, "nested too deeply"),
    stops("a thousand mistakes", f"seeds: [{', '.join(['x'] * 1000)}]\n", "seeds.0", "and 980 more"),
    stops("unknown key", "seed: [1]\n", "seed: unknown key", "correct its spelling"),
    stops("unknown key inside", "training: {epoch: 3}\n", "training.epoch: unknown key"),
    stops("wrong type", "seeds: three\n", "seeds", "valid list", "'three'"),
    stops("a mapping for a number", "training: {epochs: {first: 3}}\n", "training.epochs", "integer"),
    stops("a long text for a number", f"training: {{epochs: {'9' * 4000}x}}\n", "training.epochs"),
    stops("fraction of an epoch", "training: {epochs: 1.5}\n", "training.epochs"),
    stops("null for a number", "training: {epochs: null}\n", "training.epochs"),
    stops("not a number", "training: {learning_rate: .nan}\n", "training.learning_rate", "finite"),
    stops("infinity", "training: {learning_rate: .inf}\n", "training.learning_rate", "finite"),
    stops("negative learning rate", "training: {learning_rate: -1}\n", "training.learning_rate", "greater than 0"),
    stops("negative seed", "seeds: [0, -1]\n", "seeds", "not negative"),
    stops("seed beyond 32 bits", "seeds: [4294967296]\n", "seeds", "below 2**32"),
    stops("negative seed of a phantom", TEXT + "phantom: {seed: -1}}}\n", "cohorts.mimic_cxr.phantom.seed"),
    stops("repeated seed", "seeds: [1, 1]\n", "seeds", "different"),
    stops("no seeds", "seeds: []\n", "seeds", "at least 1"),
    stops("no labels", "domains: {cxr: {labels: []}}\n", "domains.cxr.labels", "at least 1"),
    stops(
        "repeated label",
        "domains: {cxr: {labels: [Edema, Edema]}}\n",
        "domains.cxr",
        "regions: must be different",
    ),
    stops("empty label", "domains: {cxr: {labels: [Edema, ' ']}}\n", "domains.cxr", "none of them empty"),
    stops("no attention method", "evaluation: {methods: []}\n", "evaluation.methods", "at least 1"),
    stops(
        "repeated attention method", "evaluation: {methods: [rollout, rollout]}\n", "evaluation.methods", "different"
    ),
    stops("unknown metric", "evaluation: {metric: accuracy}\n", "evaluation.metric", "'pixel_auroc'"),
    stops("unknown cohort", "domains: {cxr: {training: padchest}}\n", "domains.cxr", "'padchest'", "known are"),
    stops(
        "unknown adapter", TEXT + "adapter: mimic, root: /data}}\n", "cohorts.mimic_cxr.adapter", "'mimic'", "mimic_cxr"
    ),
    stops("unknown domain in a claim", "claims: {other_modality: {cells: [ct@mimic_cxr]}}\n", "'ct'", "known are cxr"),
    stops("cohort without a source", TEXT + "phantom: null}}\n", "cohorts.mimic_cxr", "exactly one of root"),
    stops(
        "cohort with two sources",
        TEXT + "root: /data, phantom: {patients: 9, seed: 1}}}\n",
        "cohorts.mimic_cxr",
        "exactly one of root",
    ),
    stops("all cohorts left out", "cohorts: null\n", "cohorts"),
    stops("cohort that is a list", "cohorts: {mimic_cxr: [1]}\n", "cohorts.mimic_cxr"),
    stops("name of a cohort with a path", "cohorts: {../up: {adapter: mimic_cxr, root: /data}}\n", "cohorts.../up"),
    stops("name of an arm with a path", "arms: {a/b: {}}\n", "arms.a/b"),
    stops("study that leaves its folder", "study: ../other\n", "study", "pattern"),
    stops("study without a name", "study: ''\n", "study", "pattern"),
    stops(
        "limit above 1", TEXT + "rejected_limit: 30}}\n", "cohorts.mimic_cxr.rejected_limit", "less than or equal to 1"
    ),
    stops("no shards", TEXT + "shards: 0}}\n", "cohorts.mimic_cxr.shards"),
    stops("absurdly small images", "imaging: {size: 1}\n", "imaging.size"),
    stops("unknown loss", "arms: {mmpkd: {losses: {kl: 1.0}}}\n", "arms.mmpkd.losses.kl", "'logit'"),
    stops("arm without a loss", "arms: {baseline: {losses: {label: 0.0}}}\n", "arms.baseline", "above 0"),
    stops("teacher of an unknown kind", "domains: {cxr: {teacher: {kind: audio}}}\n", "domains.cxr.teacher", "'text'"),
    stops("study of null", "study: null\n", "study", "leave the key out and its default holds"),
    stops("study that is a number", "study: 2024\n", "study", "a number: put it into quotation marks"),
    stops("study that is a yes", "study: yes\n", "study", "YAML reads yes, no, on and off as true or false"),
    stops("study that is a date", "study: 2026-01-31\n", "study", "a date: put it into quotation marks"),
    stops("study that is a list", "study: [a]\n", "study", "a single word or text is expected"),
    stops("label that is a no", "domains: {cxr: {labels: [no, Edema]}}\n", "domains.cxr.labels.0", "true or false"),
    stops("label of null", "domains: {cxr: {labels: [Edema, null]}}\n", "domains.cxr.labels.1", "null, is given"),
    stops("name of an arm that is a number", "arms: {1: {}}\n", "arms.1", "put it into quotation marks"),
    stops("seed without brackets", "seeds: 5\n", "seeds", "write a list: [5]"),
    stops("section that is a word", "training: fast\n", "training", "keys are expected below it, indented"),
    stops("section of nothing", "training:\nseeds: [1]\n", "training", "null, is given"),
    stops("value of nothing", "training:\n  epochs:\n", "training.epochs", "null, is given"),
    accepted("byte-order mark", "study: other\n".encode("utf-8-sig"), lambda study: study.study == "other"),
    accepted("CRLF", b"study: other\r\nseeds: [3]\r\n", lambda study: study.seeds == [3]),
    accepted("number in quotes", "training: {epochs: '3'}\n", lambda study: study.training.epochs == 3),
    accepted("JSON", '{"study": "other", "seeds": [3]}', lambda study: study.seeds == [3]),
    accepted("alias", "seeds: &s [3]\nevaluation: {seed: 3}\n", lambda study: study.evaluation.seed == 3),
]


def overlay(case, folder):
    path = folder / "overlay.yaml"
    path.write_bytes(case.breaks if isinstance(case.breaks, bytes) else case.breaks.encode())
    return path


@over(CASES)
def test_configuration(case, tmp_path):
    path = overlay(case, tmp_path)
    hold(case, lambda: Outcome(load_study([path])))


@pytest.mark.parametrize("name", ["duplicate key", "bomb of mappings", "unknown key", "empty file"])
def test_the_check_answers_with_one_message_and_code_2(name, tmp_path, capsys):
    case = next(case for case in CASES if case.name == name)
    assert main(["check", str(overlay(case, tmp_path))]) == 2
    told = capsys.readouterr()
    assert told.out == "" and all(word in told.err for word in case.words)
    assert "Traceback" not in told.err


def test_config_yaml_and_the_studies_hold_no_key_twice():
    from mmpkd.config.layers import BASE
    from mmpkd.config.reading import read_config

    studies = [BASE, *sorted((BASE.parent / "studies").glob("*.yaml"))]
    assert len(studies) > 5 and all(read_config(path) for path in studies)


COMMAND_LINE = [
    stops("study of nothing", ["study="], "study", "null, is given"),
    stops("number for a name", ["study=5"], "study", "put it into quotation marks"),
    stops("one seed", ["seeds=5"], "seeds", "write a list: [5]"),
    accepted("null for a section", ["claims={interaction: null}"], lambda study: "interaction" not in study.claims),
    accepted("tilde for a section", ["claims={interaction: ~}"], lambda study: "interaction" not in study.claims),
    accepted(
        "null for a key",
        ["cohorts={vindr_cxr: {phantom: null, root: /data}}"],
        lambda study: study.cohorts["vindr_cxr"].phantom is None,
    ),
    stops("tilde for a folder", ["cohorts={vindr_cxr: {phantom: null, root: ~}}"], "exactly one of root"),
]


@over(COMMAND_LINE)
def test_command_line(case):
    hold(case, lambda: Outcome(load_study([], parse_entries(case.breaks))))

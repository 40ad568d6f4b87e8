"""What the sources may not do, by their syntax: run code from files, open a shell, reach a network, read a secret."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

from mmpkd.dependencies import LIBRARY

ROOT = LIBRARY.parent
SOURCES = sorted([*LIBRARY.rglob("*.py"), *(ROOT / "workflow_scripts").glob("*.py")])
RULES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
CODE_FROM_FILES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
NETWORK = {
    "aiohttp",
    "ftplib",
    "http",
    "httpx",
    "requests",
    "smtplib",
    "socket",
    "ssl",
    "telnetlib",
    "urllib",
    "urllib3",
}
SECRETS = {"getpass", "keyring", "netrc"}
HARMLESS = {"urllib.parse"}  # takes addresses apart
CALLS = {"eval", "exec", "compile", "__import__"}
METHODS = {"system", "popen", "getenv", "read_pickle", "to_pickle"}
# The variables of the environment that are read, and why. None holds a secret.
VARIABLES = {
    "CUDA_VISIBLE_DEVICES": "the GPUs that are this job's, or the user's word that there is none",
    "LOCAL_RANK": "which process of several this is: each has a log of its own",
    "MMPKD_COMMAND": "what the Makefile was asked for, to say that the same goes on",
    "NO_COLOR": "the user asked for no colours on the terminal",
    "PYTHONPATH": "scripts find the library, and what was there stays",
    "SLURM_JOB_ID": "whether the check runs on a node, whose memory is then meant",
    "SLURM_STEP_NUM_TASKS": "whether srun has started all processes of a training",
    "TERM": "whether the terminal knows colours",
    "TORCHELASTIC_RUN_ID": "whether torchrun has started the processes",
    "XDG_CACHE_HOME": "where Snakemake keeps files, for the check",
}


def offences(source: str) -> list[str]:
    """What a source does that it may not, one entry each."""
    tree = ast.parse(source)
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found += _of_import(node)
        elif isinstance(node, ast.Call):
            found += _of_call(node)
        elif isinstance(node, ast.Attribute):
            found += _of_attribute(node, parents, constants)
    return found


def _of_import(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        exempt = {name for name in names if node.module in HARMLESS}
    else:
        names = [alias.name for alias in node.names]
        exempt = HARMLESS | {"pickle"}  # for the name of its error; what else is used of it, _of_attribute sees
    forbidden = CODE_FROM_FILES | NETWORK | SECRETS | {"os.environ", "os.getenv"}
    return [
        f"import {name}"
        for name in names
        if name not in exempt and (name.partition(".")[0] in forbidden or name in forbidden)
    ]


def _of_call(node: ast.Call) -> list[str]:
    """Keywords that open a door, and loaders without the one that shuts it."""
    called = ast.unparse(node.func)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    found = [called] if called in CALLS else []
    for name in ("shell", "allow_pickle", "trust_remote_code"):
        if given.get(name, "False") != "False":
            found.append(f"{name}={given[name]}")
    if called == "torch.load" and given.get("weights_only") != "True":
        found.append("torch.load without weights_only=True")
    if called in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
        found.append("np.load without allow_pickle=False")
    if called.startswith("yaml.") and "load" in called and not _is_plain_yaml(called, given):
        found.append(called)
    return found


def _is_plain_yaml(called: str, given: dict[str, str]) -> bool:
    return called == "yaml.safe_load" or given.get("Loader") in ("yaml.BaseLoader", "yaml.SafeLoader")


def _of_attribute(node: ast.Attribute, parents: dict, constants: dict) -> list[str]:
    written = ast.unparse(node)
    if node.attr in METHODS and not written.startswith("platform."):
        return [written]
    if written.startswith("pickle.") and written != "pickle.UnpicklingError":
        return [written]
    if written in ("os.environ", "os.environb"):
        variable = _variable(node, parents, constants)
        return [] if variable in VARIABLES else [f"the environment: {variable}"]
    return []


def _variable(node: ast.Attribute, parents: dict, constants: dict) -> str | None:
    """The name that os.environ is asked for, if it is asked for one name alone."""
    user = parents[node]
    if isinstance(user, ast.Subscript):
        key = user.slice
    elif isinstance(user, ast.Compare) and node in user.comparators:
        key = user.left
    elif isinstance(user, ast.Attribute) and user.attr == "get":
        key = parents[user].args[0]
    else:
        return None
    return key.value if isinstance(key, ast.Constant) else constants.get(getattr(key, "id", None))


def names(source: str) -> set[str]:
    """The names that a Snakefile uses, whose syntax is not Python's."""
    return {
        token.string for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.NAME
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_source_does_nothing_of_it(path: Path):
    assert offences(path.read_text()) == []


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_call_scripts_alone(path: Path):
    forbidden = {"shell", "run", "environ", "getenv", *CALLS, *CODE_FROM_FILES, *NETWORK, *SECRETS}
    assert names(path.read_text()) & forbidden == set()


def test_every_listed_variable_is_read():
    text = "".join(path.read_text() for path in SOURCES)
    assert [name for name in VARIABLES if f'"{name}"' not in text] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.loads(x)",
        "from pickle import loads",
        "import joblib",
        "import cloudpickle as harmless",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import numpy as np\nnp.load(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "np.savez(path, allow_pickle=chosen)",
        "frame = pd.read_pickle(path)",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, Loader=yaml.UnsafeLoader)",
        "import yaml\nyaml.unsafe_load(text)",
        "eval(text)",
        "exec(text)",
        "__import__(name)",
        "subprocess.run(command, shell=True)",
        "import os\nos.system(command)",
        "import socket",
        "import urllib.request",
        "from urllib import request",
        "from http.client import HTTPConnection",
        "def late():\n    import requests",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "import os\ntoken = os.environ['HF_TOKEN']",
        "import os\ntoken = os.environ.get('HF_TOKEN')",
        "import os\ntoken = os.environ.get(name)",
        "import os\neverything = dict(os.environ)",
        "import os\nfor name in os.environ: print(name)",
        "import os\ntoken = os.getenv('TERM')",
        "from os import environ",
        "import netrc",
        "from getpass import getpass",
    ],
)
def test_each_of_them_is_found(source):
    assert offences(source)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\ntry:\n    f()\nexcept pickle.UnpicklingError:\n    g()",
        "torch.load(path, weights_only=True)",
        "np.load(path, mmap_mode='r', allow_pickle=False)",
        "yaml.load(text, Loader=yaml.BaseLoader)",
        "from urllib.parse import quote",
        "student.eval()",
        "ast.literal_eval(text)",
        "import os\nos.environ.get('TERM')",
        "import os\nNAME = 'TERM'\nNAME in os.environ",
    ],
)
def test_what_is_allowed_is_not(source):
    assert offences(source) == []


@pytest.mark.parametrize("word", ["shell", "run", "requests"])
def test_a_rule_that_does_more_is_found(word):
    assert word in names(f'rule a:\n    {word}:\n        "x"\n')

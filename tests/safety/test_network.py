"""Nothing reaches out unless the configuration names a hub; and what does says what to do where there is no network."""

import socket
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pkgutil import walk_packages

import pytest

import mmpkd
from mmpkd.cli import main
from mmpkd.config.students import StudentConfig
from mmpkd.config.teachers import Encoder
from tests.safety.network import routes, run_python, why_not


@pytest.fixture
def asked(monkeypatch, tmp_path) -> list[str]:
    """Whom the program wanted to reach: each attempt fails as it does without a network."""
    attempts = []

    def refuse(*arguments, **_):
        attempts.append(str(arguments))
        raise socket.gaierror(-2, "Name or service not known")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between one try and the next
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    return attempts


def test_the_refusal_counts(asked):
    """Else an empty list would prove nothing."""
    with pytest.raises(OSError, match="not known"):
        socket.create_connection(("example.org", 80))
    assert len(asked) == 1


def test_no_import_of_the_library_reaches_out(asked):
    modules = [found.name for found in walk_packages(mmpkd.__path__, "mmpkd.") if not found.name.endswith("__main__")]
    for name in modules:
        import_module(name)
    assert len(modules) > 100 and asked == []


def test_the_models_of_the_default_study_are_here(asked):
    from mmpkd.students.vit import create
    from mmpkd.teachers.encoder import encode
    from mmpkd.teachers.encoder_loading import load_encoder

    assert encode(load_encoder(Encoder()), ["No pneumothorax."]).shape == (1, 384)
    create(StudentConfig(), 64, ["a"], seed=0)
    assert asked == []


def test_the_check_of_a_study_does_not(asked):
    with redirect_stdout(StringIO()) as said:
        main(["check"])
    assert "mimic_cxr" in said.getvalue() and asked == []


def test_an_encoder_of_the_hub_does_and_says_what_to_do_without(asked):
    from mmpkd.teachers.encoder_loading import EncoderError, load_encoder

    with pytest.raises(EncoderError, match="Without network download it elsewhere and set encoder.source to folder"):
        load_encoder(Encoder(source="hub", name="nobody/nothing", revision="0" * 40))
    assert asked


def test_weights_of_the_hub_do_and_say_what_to_do_without(asked):
    from mmpkd.students.first_weights import from_hub
    from mmpkd.students.vit import CheckpointError

    with pytest.raises(CheckpointError, match="not in the hub's cache and could not be fetched"):
        from_hub(StudentConfig(model="vit_tiny_patch16_224", backbone={"source": "timm"}))
    assert asked


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_a_program_that_is_cut_off_reaches_nobody(tmp_path):
    """The namespace in which the study of test_private_study.py runs."""
    attempt = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
    process = run_python(["-c", attempt], tmp_path)
    assert process.returncode == 1 and "Network is unreachable" in process.stdout
    assert routes(process.stdout) == 0

import os

import pytest
import torch

from mmpkd import device


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """A machine with two GPUs of which no process has claimed any."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(device.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(device, "_claims", [])
    monkeypatch.setenv(device.VISIBLE, "")
    monkeypatch.delenv(device.VISIBLE)


def claimed(count: int = 1) -> str | None:
    """What another process would see: an open file of its own, and no variable yet."""
    os.environ.pop(device.VISIBLE, None)
    assert device.resolve_device("auto", count).type == "cuda"
    return os.environ.get(device.VISIBLE)


def test_each_process_gets_a_gpu_of_its_own(two_gpus, caplog):
    assert [claimed(), claimed()] == ["0", "1"]
    assert claimed() is None and "GPUs asked for: 1, free: 0" in caplog.text


def test_a_claim_ends_with_its_process(two_gpus):
    assert claimed() == "0"
    device._claims.pop().close()
    assert claimed() == "0"


def test_a_student_of_two_processes_claims_two(two_gpus):
    assert claimed(2) == "0,1"


def test_what_a_scheduler_gave_is_left_alone(two_gpus, monkeypatch):
    monkeypatch.setenv(device.VISIBLE, "7")
    device.resolve_device("cuda")
    assert os.environ[device.VISIBLE] == "7" and not device._claims


def test_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.resolve_device("auto").type == "cpu"
    with pytest.raises(ValueError, match="torch sees no GPU here"):
        device.resolve_device("cuda")

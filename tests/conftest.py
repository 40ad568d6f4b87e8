"""A copy of the repository in which the smoke study is run once, for all tests that want it."""

import pytest

from tests.checkout import SMOKE, Workflow, copy_repository


@pytest.fixture
def checkout(tmp_path) -> Workflow:
    """A checkout without results."""
    return copy_repository(tmp_path / "checkout")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Workflow:
    """A checkout with the finished smoke study. Tests that change it put it back."""
    workflow = copy_repository(tmp_path_factory.mktemp("smoke") / "checkout")
    process = workflow.run(*SMOKE, "all")
    assert process.returncode == 0, process.stdout[-8000:]
    workflow.said = process.stdout
    return workflow

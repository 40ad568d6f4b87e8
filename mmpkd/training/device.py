"""Where and how a process computes."""

import torch


def resolve_device(device: str) -> torch.device:
    """`auto` is a GPU where there is one.

    Raises:
        ValueError: cuda was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda is configured, and torch sees no GPU here; set device: auto or cpu")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def use_threads(threads: int) -> None:
    """Computes on `threads` threads, with algorithms whose result does not change from run to run."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)

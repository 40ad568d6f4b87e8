"""Lets timm be imported beside a CPU build of torch and PyPI's torchvision; does nothing elsewhere.

PyPI's torchvision is a CUDA build. Beside a CPU torch its library of operators does not load, and `import torchvision`
then fails because it registers fake kernels for operators that nobody declared. Declaring their schemas is enough: the
operators themselves are not used here.
"""

from importlib import import_module

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries: list[torch.library.Library] = []  # an operator library lives as long as its Python object


def declare_operators() -> None:
    """Declares torchvision's operators where its own library cannot; call before timm is imported."""
    if torch.version.cuda is not None or _libraries:
        return
    try:
        import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        for schema in SCHEMAS:
            library.define(schema)
        _libraries.append(library)


declare_operators()

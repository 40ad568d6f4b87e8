"""First weights that were made elsewhere, fitted to a student that sees one grey channel on its own grid of patches."""

import argparse
import json
import logging
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from mmpkd.config.students import Backbone, StudentConfig
from mmpkd.students.vision import VisionTransformer, timm
from mmpkd.students.vit import CheckpointError, Student, describe_misfits
from mmpkd.students.weight_names import HEADS, PARTS, PATCHES, POSITIONS, grid_side, how_to_place, without_prefix

log = logging.getLogger("mmpkd.students")

# Keys below which training programs keep a model's weights, best first: a moving average or the teacher of a
# self-distillation (DINO) is what their authors evaluate.
WRAPPERS = ("state_dict_ema", "model_ema", "teacher", "state_dict", "model", "student")


@dataclass
class FirstWeights:
    """Tensors by timm's names, and the normalisation of each input channel that they were trained with (if known)."""

    source: str
    tensors: dict[str, torch.Tensor]
    mean: list[float] | None = None
    std: list[float] | None = None


def from_hub(config: StudentConfig) -> FirstWeights:
    """The weights that timm publishes for the model, from the hub's cache or over the network.

    Raises:
        CheckpointError: neither holds them.
    """
    try:
        model = timm.create_model(config.model, pretrained=True)
    except OSError as error:
        raise CheckpointError(
            f"student.backbone: the weights of {config.model} are not in the hub's cache and could not be fetched "
            f"({type(error).__name__}). {how_to_place(repository_of(config.model))}"
        ) from error
    except RuntimeError as error:
        raise CheckpointError(f"student.backbone: timm has no weights of {config.model}: {error}") from error
    published = model.pretrained_cfg
    return FirstWeights(config.model, model.state_dict(), list(published["mean"]), list(published["std"]))


def repository_of(model: str) -> str:
    """The hub's repository with the weights of a model that timm knows, or is asked to look up there."""
    prefix, _, name = model.rpartition(":")
    if prefix:
        return name
    tag = timm.models.get_pretrained_cfg(model).tag
    return f"timm/{model.partition('.')[0]}.{tag}"


def from_file(path: Path) -> FirstWeights:
    """A safetensors file, or a torch state dict, plain or as training programs wrap it.

    A wrapped one is sought below the keys of WRAPPERS, and the transformer is taken from below whatever prefix its
    tensors have (`weight_names.transformer_prefix`).

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it cannot be read without running code, or holds no vision transformer.
    """
    if not path.is_file():
        raise FileNotFoundError(f"student.backbone.path: there is no file {path}; place the weights there")
    own: dict[str, list[float]] = {}  # what a file of this project says of itself
    if zipfile.is_zipfile(path):
        tensors = unwrap(read_state_dict(path))
    else:
        try:
            with safe_open(path, framework="pt") as archive:
                config = own_config(archive.metadata() or {})
                tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118 - no mapping
        except SafetensorError as error:
            raise CheckpointError(
                f"{path}: neither safetensors nor a torch state dict of torch 1.6 or later ({error})"
            ) from error
        own = {key: [value] for key in ("mean", "std") if isinstance(value := config.get(key), float)}
    try:
        weights = FirstWeights(str(path), without_prefix(tensors), **own)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if broken := [name for name, tensor in weights.tensors.items() if not torch.isfinite(tensor).all()]:
        raise CheckpointError(f"{path}: {len(broken)} tensors are not finite, {broken[0]} first; use others")
    return weights


def own_config(metadata: Mapping[str, str]) -> dict[str, object]:
    """What a file of this project says of its student; nothing where another program wrote it."""
    try:
        return dict(json.loads(metadata.get("mmpkd", "{}")).get("config", {}))
    except (ValueError, AttributeError, TypeError):
        return {}


def read_state_dict(path: Path) -> object:
    """What `torch.save` wrote, if it holds tensors, plain containers and command-line arguments alone.

    Raises:
        CheckpointError: it holds anything else, which could run code, or is damaged.
    """
    if path.suffix == ".safetensors":  # torch.load goes by the name
        raise CheckpointError(
            f"{path}: no safetensors file but a torch archive by its content; let its name end in .pth"
        )
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: refused, for it holds more than tensors and could run code when it is loaded. If you trust it, "
            "load it once yourself and write its state_dict() alone with safetensors.torch.save_file"
        ) from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path}: not a whole torch state dict: {error}") from error


def unwrap(loaded: object) -> dict[str, torch.Tensor]:
    """The tensors of a state dict that may lie below a key of WRAPPERS, several deep."""
    while isinstance(loaded, Mapping):
        key = next((key for key in WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if key is None:
            return {name: value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
        loaded = loaded[key]
    return {}


def fit_weights(student: Student, weights: FirstWeights, backbone: Backbone) -> list[str]:
    """Copies all weights but the head's into `student`; returns what was changed for them to fit.

    Other grids: the positional embeddings are resampled (bicubic, by timm); tokens before the patches keep theirs.
    Other patches: refused, or resampled with `backbone.resample_patches` (FlexiViT, arXiv:2212.08013, by timm).
    Colours: the patch embedding is folded into one that takes the student's grey values, see `to_grey`.

    Args:
        student: that receives them.
        weights: that were read.
        backbone: how they are fitted.

    Raises:
        CheckpointError: tensors are missing, of another shape, or belong to another transformer.
    """
    vit, tensors = student.vit, dict(weights.tensors)
    own = vit.state_dict()
    changes = _check_patches(weights, own, backbone) + _check_positions(weights, vit)
    tensors = timm.models.vision_transformer.checkpoint_filter_fn(tensors, vit, adapt_layer_scale=True)
    changes += make_grey(tensors, student, weights, backbone)

    heads = [name for name in tensors if name.startswith(HEADS)]
    others = [name for name in tensors if name not in own and name not in heads]
    foreign = [f"{name} is not the student's" for name in others if name.startswith(PARTS)]
    misfits = describe_misfits(tensors, own) + foreign
    if misfits:
        raise CheckpointError(
            f"{weights.source}: does not fit student.model and student.arguments: {'; '.join(misfits[:3])} "
            f"({len(misfits)} tensors)"
        )
    vit.load_state_dict({name: tensors[name] for name in own if not name.startswith(HEADS)}, strict=False)
    log.info("first weights from %s: %s", weights.source, "; ".join(changes) or "as they are")
    log.info("left out: %d tensors of heads and %d others (%s)", len(heads), len(others), ", ".join(others[:5]))
    return changes


def _check_patches(weights: FirstWeights, own: dict[str, torch.Tensor], backbone: Backbone) -> list[str]:
    there, wanted = weights.tensors[PATCHES].shape, own[PATCHES].shape
    if len(there) != 4 or there[1] not in (1, 3):
        raise CheckpointError(f"{weights.source}: {PATCHES} is {tuple(there)}; one or three channels are expected")
    if there[0] != wanted[0]:
        raise CheckpointError(
            f"{weights.source}: does not fit student.model and student.arguments: made for tokens of {there[0]} "
            f"dimensions, the student has {wanted[0]}"
        )
    if there[2:] == wanted[2:]:
        return []
    if not backbone.resample_patches:
        raise CheckpointError(
            f"{weights.source}: made for patches of {there[-1]} pixels, the student has {wanted[-1]}; set patch_size "
            "in student.arguments, or student.backbone.resample_patches to resample them"
        )
    return [f"patches resampled from {there[-1]} to {wanted[-1]} pixels"]


def _check_positions(weights: FirstWeights, vit: VisionTransformer) -> list[str]:
    if vit.pos_embed is None or POSITIONS not in weights.tensors:
        return []
    count = weights.tensors[POSITIONS].shape[1]
    tokens = 1 if "register_tokens" in weights.tensors else positioned_tokens(vit)  # timm converts the authors' DINOv2
    side, wanted = grid_side(count, tokens), vit.patch_embed.grid_size[0]
    if side is None:
        raise CheckpointError(
            f"{weights.source}: {count} positional embeddings are not {tokens} and a square grid; class, distillation "
            "and register tokens are those of another student.model"
        )
    return [] if side == wanted else [f"positions resampled from {side} x {side} to {wanted} x {wanted}"]


def positioned_tokens(vit: VisionTransformer) -> int:
    """How many tokens before the patches have a positional embedding."""
    return 0 if vit.no_embed_class else vit.num_prefix_tokens


def make_grey(
    tensors: dict[str, torch.Tensor], student: Student, weights: FirstWeights, backbone: Backbone
) -> list[str]:
    """Folds the patch embedding into one channel in the student's normalisation, in place.

    The constant goes to the bias or, where the model has none (CLIP), to the positional embeddings of the patches.

    Args:
        tensors: by the names of timm; the patch embedding and its bias or the positions are replaced.
        student: whose mean and standard deviation of grey values hold afterwards.
        weights: where the tensors come from, and the normalisation that they are known to expect.
        backbone: a configured normalisation, which comes first.

    Returns:
        What was done, a line each.

    Raises:
        CheckpointError: the model has neither a bias nor positions that could take the constant, or the configured
            normalisation is of another number of channels.
    """
    channels = tensors[PATCHES].shape[1]
    mean, std = normalisation(student, weights, backbone, channels)
    if channels == 1 and (mean, std) == ([student.mean], [student.std]):
        return []
    tensors[PATCHES], constant = to_grey(tensors[PATCHES], mean, std, student.mean, student.std)
    bias = "patch_embed.proj.bias"
    if bias in tensors:
        tensors[bias] = tensors[bias] + constant
    elif student.vit.pos_embed is not None and isinstance(student.vit.patch_embed.norm, torch.nn.Identity):
        positions = tensors[POSITIONS].clone()
        positions[:, positioned_tokens(student.vit) :] += constant
        tensors[POSITIONS] = positions
    else:
        raise CheckpointError(f"{weights.source}: no bias and no positions that could take the mean grey value")
    return [f"{channels} channels of mean {mean} and standard deviation {std} folded into one grey channel"]


def normalisation(
    student: Student, weights: FirstWeights, backbone: Backbone, channels: int
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel that the weights expect: configured, known of them, or the model's.

    Args:
        student: whose model may state them.
        weights: that may be known.
        backbone: that may configure them.
        channels: of the weights' images.

    Raises:
        CheckpointError: they are for another number than `channels`.
    """
    if backbone.mean is not None and backbone.std is not None:
        mean, std = backbone.mean, backbone.std
    elif weights.mean is not None and weights.std is not None:
        mean, std = weights.mean, weights.std
    elif channels == 1:
        mean, std = [student.mean], [student.std]
    else:
        published = student.vit.pretrained_cfg
        mean, std = list(published["mean"]), list(published["std"])
    if len(mean) != channels:
        raise CheckpointError(
            f"{weights.source}: {channels} channels, and student.backbone.mean and std are for {len(mean)}"
        )
    return mean, std


def to_grey(
    weight: torch.Tensor, mean: list[float], std: list[float], grey_mean: float, grey_std: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The patch embedding of one grey channel that equals `weight` on the same image copied into each channel.

    A grey value g comes normalised, x = (g - grey_mean) / grey_std, and channel c needs (g - mean_c) / std_c, which is
    x * grey_std / std_c + (grey_mean - mean_c) / std_c. So the channels' weights are summed, each scaled by the first
    factor, and what the second term adds does not depend on the image.

    Args:
        weight: D x C x p x p.
        mean: one value per channel.
        std: one value per channel.
        grey_mean: of the one channel.
        grey_std: of the one channel.

    Returns:
        Weight D x 1 x p x p, and a constant D that is added to each patch.
    """
    exact = weight.double()
    means, stds = (torch.tensor(values).to(exact) for values in (mean, std))
    folded = torch.einsum("dcij,c->dij", exact, grey_std / stds).unsqueeze(1)
    constant = torch.einsum("dcij,c->d", exact, (grey_mean - means) / stds)
    return folded.to(weight.dtype), constant.to(weight.dtype)

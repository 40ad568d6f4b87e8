"""Makes the folder that a text teacher reads from the download of an encoder whose weights are a pickle."""

import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from mmpkd.config.teachers import Encoder
from mmpkd.students.first_weights import read_state_dict
from mmpkd.students.vit import CheckpointError
from mmpkd.teachers.encoder_loading import EncoderError, load_encoder, refuse_partial
from mmpkd.teachers.packaged_encoder import WEIGHTS
from mmpkd.torchvision_schema import declare_operators

PICKLE = "pytorch_model.bin"
TOKENIZER_FILES = ("*token*", "vocab*", "merges.txt", "*.model")
# What training programs and libraries put before the names of a model's tensors.
PREFIXES = ("module.", "model.", "0.auto_model.", "auto_model.", "encoder.model.", "transformer.")


def convert(download: Path, folder: Path) -> str:
    """Writes `folder` with config.json, the tokenizer's files and model.safetensors, and loads it as a teacher will.

    The pickle is read without running code (`torch.load(weights_only=True)`). transformers renames what older versions
    called otherwise; a prefix of a training program is removed.

    Args:
        download: config.json, the tokenizer's files, and pytorch_model.bin or model.safetensors.
        folder: a new folder.

    Returns:
        The SHA-256 of the weights, for `encoder.sha256` of the configuration.

    Raises:
        EncoderError: the download is not whole, or the folder is there already.
    """
    if folder.exists():
        raise EncoderError(f"{folder} is there already; remove it, or choose another folder")
    if not (download / "config.json").is_file():
        raise EncoderError(f"{download}: config.json is missing; download the whole repository of the model")
    tensors = _without_prefix(_read(download))
    partial = folder.with_name(f".{folder.name}-partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _save(download, tensors, partial)
        for path in {path for pattern in TOKENIZER_FILES for path in download.glob(pattern)}:
            shutil.copyfile(path, partial / path.name)
        sha256 = load_encoder(Encoder(source="folder", name=str(partial))).sha256
        partial.rename(folder)
    except EncoderError as error:
        raise EncoderError(str(error).replace(str(partial), str(download))) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return sha256


def _save(download: Path, tensors: dict[str, torch.Tensor], folder: Path) -> None:
    """Writes config.json and the encoder's own tensors under the names that transformers gives them today."""
    declare_operators()
    from transformers import AutoConfig, AutoModel
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    disable_progress_bar()
    set_verbosity_error()
    try:
        config = AutoConfig.from_pretrained(download, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            kind = type(AutoModel.from_config(config))
        model, report = kind.from_pretrained(None, config=config, state_dict=tensors, output_loading_info=True)
    except Exception as error:  # transformers fails in a dozen ways on files that are not what it expects
        reason = " ".join(str(error).split())[:300]
        raise EncoderError(f"{download}: transformers cannot read it ({type(error).__name__}: {reason})") from error
    refuse_partial(download / PICKLE, model, report)
    drawn = set(report["missing_keys"])  # unused parts, which would differ from one conversion to the next
    own = {name: tensor for name, tensor in model.state_dict().items() if name not in drawn}
    model.save_pretrained(folder, state_dict=own)


def _read(download: Path) -> dict[str, torch.Tensor]:
    try:
        if (download / WEIGHTS).is_file():
            return load_file(download / WEIGHTS)
        if not (download / PICKLE).is_file():
            raise EncoderError(f"{download}: neither {WEIGHTS} nor {PICKLE}; download the weights of the model")
        loaded = read_state_dict(download / PICKLE)
    except (SafetensorError, CheckpointError) as error:
        raise EncoderError(str(error)) from error
    if not isinstance(loaded, dict):
        raise EncoderError(f"{download / PICKLE}: not a state dict, but {type(loaded).__name__}")
    return {name: tensor for name, tensor in loaded.items() if isinstance(tensor, torch.Tensor)}


def _without_prefix(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return _without_prefix({name.removeprefix(prefix): tensor for name, tensor in tensors.items()})
    return tensors

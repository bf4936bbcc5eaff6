"""YAML that is read place by place, so that every error names file,
line, key, and what is allowed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import yaml


class YamlError(ValueError):
    """A file that makes no sense; the message names where, and what is allowed."""


def document(text: str, name: str, content: str) -> YamlPlace:
    """The root of a document. `name` is the file's, `content` is what it should hold.
    Raises YamlError."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise YamlError(f"{name}: not YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise YamlError(f"{name}: nested too deep; it takes {content}") from None
    if root is None:
        raise YamlError(f"{name}: empty; it takes {content}")
    return YamlPlace(name, root)


@dataclass(frozen=True)
class YamlPlace:
    """A node of the YAML document: knows where it is."""

    file: str
    node: yaml.Node
    key: str = ""

    def wrong(self, complaint: str) -> YamlError:
        """An error at this place, to be raised."""
        where = f"{self.file}, line {self.node.start_mark.line + 1}"
        return YamlError(f"{where}: {self.key + ': ' if self.key else ''}{complaint}")

    def mapping(self, allowed: Collection[str]) -> dict[str, YamlPlace]:
        """The values by key, of which no other may be there."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.wrong(f"should be a mapping with the keys {', '.join(sorted(allowed))}")
        fields: dict[str, YamlPlace] = {}
        for key, value in self.node.value:
            if not isinstance(key, yaml.ScalarNode):
                names = ", ".join(sorted(allowed))
                raise YamlPlace(self.file, key, self.key).wrong(
                    f"no such key here; allowed: {names}"
                )
            place = YamlPlace(self.file, value, str(key.value))
            if place.key not in allowed:
                near = YamlPlace(self.file, key, place.key)
                raise near.wrong(f"no such key here; allowed: {', '.join(sorted(allowed))}")
            if place.key in fields:
                raise place.wrong("is given twice")
            fields[place.key] = place
        return fields

    def sequence(self) -> list[YamlPlace]:
        """The items of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.wrong("should be a list")
        return [YamlPlace(self.file, item, self.key) for item in self.node.value]

    def value(self) -> Any:
        """As Python data. The document was composed by the safe loader."""
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_document(self.node)
        except yaml.YAMLError as error:
            raise self.wrong(" ".join(str(error).split())) from error
        except RecursionError:
            raise self.wrong("is nested too deep") from None
        finally:
            loader.dispose()

    def one_of(self, allowed: Collection[str]) -> str:
        """A name that is allowed."""
        value = self.value()
        if not isinstance(value, str) or value not in allowed:
            raise self.wrong(f"{value!r} is not allowed; allowed: {', '.join(sorted(allowed))}")
        return value

    def some_of(self, allowed: Collection[str]) -> list[str]:
        """A list of such names, not empty."""
        names = [item.one_of(allowed) for item in self.sequence()]
        if not names:
            raise self.wrong(f"is empty; allowed: {', '.join(sorted(allowed))}")
        return names

    def integer(self, low: int, high: int) -> int:
        """An integer from `low` to `high`."""
        value = self.value()
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(f"{value!r} is not an integer from {low} to {high}")
        return value

    def boolean(self) -> bool:
        """True or false."""
        value = self.value()
        if not isinstance(value, bool):
            raise self.wrong(f"{value!r} is neither true nor false")
        return value

    def milliseconds(self) -> int:
        """A time given in seconds after the load began."""
        value = self.value()
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
            raise self.wrong(f"{value!r} is not a time; it takes seconds after the load began")
        return round(value * 1000)

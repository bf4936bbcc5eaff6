"""docs/node.md names every parameter, with the default that it has."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from dynamesis.cluster.core.protocol.params import Params

PAGE = (Path(__file__).parents[2] / "docs" / "node.md").read_text(encoding="utf-8")
FIELDS = [f for f in dataclasses.fields(Params) if f.name not in ("node", "members")]
SIZES = {1 << 20: "1 MiB", 4 << 20: "4 MiB", 64 << 20: "64 MiB", 1 << 30: "1 GiB"}
#: what has no default to document
UNTOLD = ("secret", "cluster", "seeds")


def spelled(default: object) -> str:
    if default is True:
        return "true"
    if default == ():
        return "none"
    if isinstance(default, float):
        return f"{default:g}"
    return SIZES.get(default, str(default)) if isinstance(default, int) else str(default)


@pytest.mark.parametrize("field", FIELDS, ids=lambda f: f.name)
def test_every_parameter_is_explained(field: dataclasses.Field[object]) -> None:
    assert f"`{field.name}`" in PAGE
    if field.default is dataclasses.MISSING or field.name in UNTOLD:
        return
    after = PAGE.split(f"`{field.name}`", 1)[1][:40]
    assert spelled(field.default) in after, f"not {spelled(field.default)}, but {after!r}"

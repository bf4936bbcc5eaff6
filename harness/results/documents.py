"""The type of what the JSON files of a test hold."""

from __future__ import annotations

from typing import Any, TypeAlias

#: An object of JSON, such as test.json or results.json as a whole, or a row of campaign.json.
JsonObject: TypeAlias = dict[str, Any]

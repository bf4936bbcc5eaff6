"""What a campaign is going to run, in its folder before anything is run: plan.json.

From it `dynamesis merge` knows what every shard had to run, also one of which nothing has come, and
whether shards are parts of the same campaign.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from importlib.metadata import version as installed
from typing import Any

import msgspec
from dynamesis.harness.campaign.budget import Budget
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.shard import WHOLE, Shard
from dynamesis.harness.campaign.spec import NAME, Campaign
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import DamagedFolder, Folder

PLAN = "plan.json"
_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """`cells`: of the whole campaign; `skipped`: which cannot be run, and why. `tests`: a hash of
    every test by which campaigns are compared; `only`: as --only had it. `file`, `host`,
    `folder`: where it was begun. `shard` is WHOLE where none was asked for."""

    name: str
    version: str
    tests: str
    start: str
    cells: tuple[Cell, ...]
    skipped: Mapping[Cell, str] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    shard: Shard = WHOLE
    time_limit: str = ""
    only: str | None = None
    file: str = ""
    host: str = ""
    folder: str = ""

    @classmethod
    def of(cls, whole: Campaign, shard: Shard, start: str, **more: Any) -> Plan:
        """The plan of a campaign before it is dealt out; `more`: only, file, folder."""
        return cls(
            name=whole.name,
            version=installed("dynamesis"),
            tests=_hash_of_tests(whole),
            start=start,
            cells=whole.cells,
            skipped=whole.skipped,
            budget=whole.budget,
            shard=shard,
            time_limit=whole.time_limit,
            host=socket.gethostname(),
            **more,
        )

    def save(self, folder: Folder) -> None:
        """Write it into a folder."""
        skipped = [{**asdict(cell), "why": why} for cell, why in self.skipped.items()]
        whole = {**asdict(replace(self, skipped={})), "shard": str(self.shard), "skipped": skipped}
        folder.save_json(PLAN, {"format": _FORMAT, **whole})

    def mine(self, shard: Shard | None = None) -> tuple[Cell, ...]:
        """The cells that a shard has to run; by default this one."""
        return (shard or self.shard).deal(self.cells)


def read_plan(folder: Folder) -> Plan | None:
    """The plan in a folder; None where there is none. Raises DamagedFolder."""
    if not (folder / PLAN).is_file():
        return None
    row = folder.load_json(PLAN)
    try:
        if row.pop("format") != _FORMAT:
            raise ValueError("it was written by another version of Dynamesis")
        read: JsonObject = {
            "cells": msgspec.convert(row["cells"], tuple[Cell, ...]),
            "skipped": {_cell(cell): str(cell["why"]) for cell in row["skipped"]},
            "budget": msgspec.convert(row["budget"], Budget),
            "shard": Shard.parse(row["shard"]),
        }
        return _checked(Plan(**(row | read)))
    except Exception as error:
        why = f"expected the plan of a campaign: {type(error).__name__}: {error}"
        raise DamagedFolder(f"{folder / PLAN}: {why}") from error


def _checked(plan: Plan) -> Plan:
    """Raises ValueError for a name that is not one, and what should be text."""
    texts = (plan.version, plan.tests, plan.start, plan.time_limit, plan.file, plan.host)
    if not all(isinstance(each, str) for each in (*texts, plan.folder, plan.only or "")):
        raise ValueError("what should be text is not")
    if not NAME.fullmatch(plan.name):
        raise ValueError(f"{plan.name!r} is not a name of a campaign")
    return plan


def _cell(row: Mapping[str, Any]) -> Cell:
    return Cell(**{name: value for name, value in row.items() if name != "why"})


def _hash_of_tests(campaign: Campaign) -> str:
    tests = {cell.name: campaign.spec(cell).arguments() for cell in campaign.cells}
    skipped = sorted(cell.name for cell in campaign.skipped)
    return sha256(json.dumps([tests, skipped], sort_keys=True).encode()).hexdigest()

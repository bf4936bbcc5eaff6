"""tox.ini is the documented matrix: what tox itself makes of its environments."""

from __future__ import annotations

import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tox(tmp_path_factory: pytest.TempPathFactory) -> RawConfigParser:
    names = "lint,types,py311-unit,py312-cart-cut,py314-hotkey-kill-sim,nightly"
    keys = ("commands", "deps", "extras", "skip_install")
    work = ["--workdir", str(tmp_path_factory.mktemp("tox"))]
    done = subprocess.run(
        [sys.executable, "-m", "tox", "config", *work, "-e", names, "-k", *keys],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = RawConfigParser()
    found.read_string(done.stdout.replace("\n  ", "\n "))
    return found


def test_the_linter_installs_neither_the_package_nor_what_it_needs(tox: RawConfigParser) -> None:
    lint = tox["testenv:lint"]
    assert (lint["skip_install"], lint["extras"]) == ("True", "")
    assert lint["deps"].startswith("ruff")
    assert "\n" not in lint["deps"]


def test_only_tests_install_what_tests_need(tox: RawConfigParser) -> None:
    extras = {name: tox[f"testenv:{name}"]["extras"] for name in
              ("types", "py311-unit", "py312-cart-cut", "py314-hotkey-kill-sim")}  # fmt: skip
    assert extras == {
        "types": "types", "py311-unit": "test", "py312-cart-cut": "", "py314-hotkey-kill-sim": ""
    }  # fmt: skip


def test_a_factor_decides_the_world_of_a_cell(tox: RawConfigParser) -> None:
    real, sim = (tox[f"testenv:{name}"]["commands"] for name in
                 ("py312-cart-cut", "py314-hotkey-kill-sim"))  # fmt: skip
    assert real == "dynamesis campaign smoke --only cart,cut"
    assert sim == "dynamesis campaign smoke --only hot-key,kill --world=simulated"


def test_the_nightly_job_is_an_environment(tox: RawConfigParser) -> None:
    assert "pytest -m nightly" in tox["testenv:nightly"]["commands"]

"""The jobs of .github: their files are workflows with limits, and the scripts that they run do what
their names say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / ".github/scripts"
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def loaded(path: Path) -> dict[Any, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def script(name: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_job_has_a_limit_and_a_new_run_ends_the_one_before(path: Path) -> None:
    content = loaded(path)
    assert content["concurrency"]["cancel-in-progress"] is True
    assert content["permissions"] == {"contents": "read"}
    # YAML reads the word `on` as true
    assert content.get("on", content.get(True))
    for name, job in content["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 360, name
        assert all({"run", "uses"} & step.keys() for step in job["steps"]), name
        needs = job.get("needs", [])
        assert set([needs] if isinstance(needs, str) else needs) <= content["jobs"].keys()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_job_names_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"\.github/scripts/\S+\.py", text):
        assert (ROOT / name).is_file()
    campaigns = re.findall(r"campaign: \[(.+)\]", text)
    for name in {each.strip() for line in campaigns for each in line.split(",")}:
        assert (ROOT / f"examples/{name}.yaml").is_file()


def test_the_nightly_job_checks_toxiproxy_and_keeps_what_it_saw() -> None:
    jobs = loaded(ROOT / ".github/workflows/nightly.yml")["jobs"]
    for name in ("nightly", "shard"):
        steps = [step for step in jobs[name]["steps"] if "toxiproxy_was_used" in str(step)]
        assert [step["if"] for step in steps] == ["always()"], name
    kept = [step["with"]["path"] for step in jobs["nightly"]["steps"]
            if "upload-artifact" in step.get("uses", "")]  # fmt: skip
    assert any("screenshots" in path for path in kept)
    assert any("site/" in path for path in kept)


def a_test(folder: Path, number: int, **fields: Any) -> None:
    into = folder / f"runs/cart-cut/{number}/20260101T000000.000Z"
    into.mkdir(parents=True)
    known = {
        "booted": True,
        "links": "auto",
        "links_used": "toxiproxy",
        "command": f"test {number}",
    }
    (into / "test.json").write_text(json.dumps(known | fields))


def test_a_campaign_through_toxiproxy_passes_whatever_else_was_asked_for(tmp_path: Path) -> None:
    a_test(tmp_path, 1)
    a_test(tmp_path, 2, links="simulated", links_used="simulated")
    a_test(tmp_path, 3, links="embedded", links_used="embedded")
    a_test(tmp_path, 4, booted=False, links_used=None)
    done = script("toxiproxy_was_used.py", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_test_that_fell_back_on_other_links_fails_the_job_by_its_command(tmp_path: Path) -> None:
    a_test(tmp_path, 1)
    a_test(tmp_path, 2, links_used="embedded")
    done = script("toxiproxy_was_used.py", tmp_path)
    assert done.returncode == 1
    assert done.stderr.split("\n")[:2] == ["not through Toxiproxy:", "test 2"]


@pytest.mark.parametrize("fields", [None, {"links": "embedded"}, {"booted": False}])
def test_a_campaign_without_such_a_test_fails_too(
    tmp_path: Path, fields: dict[str, Any] | None
) -> None:
    if fields is not None:
        a_test(tmp_path, 1, **fields)
    done = script("toxiproxy_was_used.py", tmp_path)
    assert done.returncode == 1
    assert "no test below" in done.stderr


def test_a_site_has_the_last_night_of_each_campaign_and_its_reports_alone(tmp_path: Path) -> None:
    for name in ("smoke", "storm"):
        for night in ("20260101T000000.000Z", "20260102T000000.000Z"):
            folder = tmp_path / f"store/campaigns/{name}/{night}"
            run = folder / "runs/cart-cut/1/20260101T000000.000Z"
            run.mkdir(parents=True)
            (folder / "index.html").write_text(night)
            (folder / "nightly.json").write_text("{}")
            for file in ("report.html", "history.jsonl"):
                (run / file).write_text(file)
        (folder.parent / "latest").symlink_to(night)
    done = script("gather_site.py", tmp_path / "store", tmp_path / "site")
    assert (done.returncode, done.stderr) == (0, "")
    found = {str(p.relative_to(tmp_path / "site")) for p in (tmp_path / "site").rglob("*.*")
             if p.is_file()}  # fmt: skip
    report = "runs/cart-cut/1/20260101T000000.000Z/report.html"
    names = ("index.html", "nightly.json", report)
    assert found == {f"{name}/{file}" for name in ("smoke", "storm") for file in names}
    assert (tmp_path / "site/smoke/index.html").read_text() == "20260102T000000.000Z"

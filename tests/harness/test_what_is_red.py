"""What a picture colours red, how wide it is, and which sentence of a proof comes first."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from dynamesis.checkers.models.models import ModelOptions
from dynamesis.harness.check.evaluate import ModelChoice, judge_history, read
from dynamesis.harness.report.spoken import first_sentence, lead, spoken
from dynamesis.harness.report.story import operations

from tests.harness.test_pictures import HISTORIES, of_model, pictures, red

CYCLE = HISTORIES / "models/bad/list-append/G-single-process-own-append-gone.edn"


def red_boxes(svg: str) -> list[str]:
    return [
        (box[0].text or "")
        for box in ElementTree.fromstring(svg).iter()
        if box.get("class") == "box bad" and len(box)
    ]


def arrows(svg: str) -> list[str]:
    """The class of each arrow."""
    return re.findall(r'<path [^>]*class="((?:bad)?line[ a-z]*)"', svg)


@pytest.mark.parametrize(
    ("anomaly", "history", "version"),
    [
        ("aborted-read", "aborted-read-before-refusal", "put 1.1"),
        ("altered-value", "altered-value-other-number", "put 0.1"),
        ("crossed-key", "crossed-key-extra-sibling", "put 1.1"),
        ("duplicate-sibling", "duplicate-sibling-twice", "put 0.1"),
        ("future-read", "future-read-before-invocation", "put 1.1"),
    ],
)
def test_what_should_not_have_been_shown_is_red(anomaly: str, history: str, version: str) -> None:
    drawn = pictures(HISTORIES / f"bad/{history}.jsonl")[anomaly]["versions"]
    assert [text.split(" =")[0] for text in red(drawn)] == [version]
    assert not any("dash" in arrow for arrow in arrows(drawn))


def test_of_a_divergence_the_replica_that_lacks_the_version_is_red_and_not_the_other() -> None:
    path = HISTORIES / "bad/stuck,unbounded,divergence,misplaced-never-arrives.jsonl"
    drawn = pictures(path)["divergence"]["versions"]
    boxes = [text for text in red_boxes(drawn) if text.startswith("dump")]
    assert len(boxes) == 1
    assert boxes[0].endswith("nothing")
    assert sorted(arrows(drawn)) == ["badline dash", "line"]


def test_an_arrow_to_a_read_that_did_show_what_is_missing_later_is_not_red() -> None:
    drawn = pictures(HISTORIES / "bad/monotonic-reads-gone-again.jsonl")["monotonic-reads"]
    assert "line" in arrows(drawn["versions"])
    assert "badline" not in arrows(drawn["versions"])


def test_a_picture_of_two_columns_or_a_few_reads_fits_a_phone() -> None:
    versions = pictures(HISTORIES / "bad/read-your-writes-empty.jsonl")["read-your-writes"]
    table = of_model("set/lost-element-gone")["lost-element"]
    for drawn in (*versions.values(), *table.values()):
        width = float(ElementTree.fromstring(drawn).attrib["width"])
        # as page.css has it for narrow windows; 340 px are left beside margins
        assert width * 0.68 <= 340


def test_a_read_that_is_asked_for_has_no_value_yet() -> None:
    history = read(CYCLE)
    did = [op["did"] for op in operations(history, list(range(len(history))))]
    assert set(did) == {"txn append x 1", "txn read x"}


def test_a_cycle_is_read_aloud_by_its_reasons_and_not_by_the_names_of_its_operations() -> None:
    history = read(CYCLE)
    results = judge_history(history, {}, ModelChoice("list-append", ModelOptions()))
    first, second, *_ = spoken(results)
    assert "G-single-process once" in first
    assert second.startswith("T1 before T2 (process): process 0 did T1 before T2;")
    why = results["checkers"]["list-append"]["anomalies"][0]["why"]
    shown, rest = lead(why)
    assert shown.startswith("T1 before T2")
    assert rest == "T1 is the transaction at index 1, T2 is the transaction at index 3."
    assert first_sentence("T1 is the write at index 4.") == "T1 is the write."

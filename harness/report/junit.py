"""Verdicts as JUnit XML: a test suite a test, with a test case for each checker.

Texts are cut where they are long, since servers of CI refuse large files: results.json has them
whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from dynamesis.harness.report.summary import printable, word
from dynamesis.harness.report.words import clip

#: test.json and results.json of one test
Judged = tuple[Mapping[str, Any], Mapping[str, Any]]


def junit(test: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """The whole document of one test."""
    return document(_suite(test, results))


def junit_of_all(judged: Iterable[Judged]) -> str:
    """The whole document of several."""
    root = ET.Element("testsuites", name="dynamesis")
    root.extend(_suite(test, results) for test, results in judged)
    return document(root)


def document(root: ET.Element) -> str:
    """An element as a whole XML document."""
    ET.indent(root)
    return printable(ET.tostring(root, encoding="unicode", xml_declaration=True)) + "\n"


def _suite(test: Mapping[str, Any], results: Mapping[str, Any]) -> ET.Element:
    """Invalid is a failure, unknown an error, a checker that does not apply is skipped."""
    checkers = results["checkers"]
    verdicts = [word(checker["valid"]) for checker in checkers.values()]
    name = clip(str(test.get("name", "dynamesis")))
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(checkers)),
        failures=str(verdicts.count("invalid")),
        errors=str(verdicts.count("unknown")),
        skipped=str(sum(1 for checker in checkers.values() if "skipped" in checker)),
        timestamp=clip(str(test.get("start", ""))),
    )
    properties = ET.SubElement(suite, "properties")
    for key in ("seed", "command"):
        ET.SubElement(properties, "property", name=key, value=clip(str(test.get(key, ""))))
    for checker, verdict in checkers.items():
        _case(ET.SubElement(suite, "testcase", name=checker, classname=name), verdict)
    return suite


def _case(case: ET.Element, verdict: Mapping[str, Any]) -> None:
    proofs = [clip(f"{each['name']}: {each['why']}") for each in verdict.get("anomalies", ())]
    why = list(map(clip, verdict.get("reasons", ())))
    if "skipped" in verdict:
        ET.SubElement(case, "skipped", message=clip(verdict["skipped"]))
    elif proofs:
        ET.SubElement(case, "failure", message=proofs[0]).text = "\n".join(proofs)
    elif word(verdict["valid"]) == "unknown":
        ET.SubElement(case, "error", message=why[0] if why else "unknown").text = "\n".join(why)

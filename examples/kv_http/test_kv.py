"""Run by pytest: the correct store must be valid, and the planted bug be found."""

from pathlib import Path

from dynamesis import TestResult, Verdict, run_test

HERE = Path(__file__).parent


def break_it(target: str) -> TestResult:
    return run_test(
        target=f"{HERE / 'target.py'}:{target}",
        nemesis=["cut.one", "kill.one", "pause.one"],
        seed=1,
        store=HERE / "store",
    )


def test_it_keeps_what_it_acknowledged() -> None:
    result = break_it("Kv")
    assert result.verdict is Verdict.VALID, result.explain()


def test_the_planted_bug_is_found() -> None:
    result = break_it("EarlyKv")
    assert result.verdict is Verdict.INVALID, result.explain()

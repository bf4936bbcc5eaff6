"""pytest, in this folder; the correct store must be valid, and the planted bug found."""

from pathlib import Path

from dynamesis import Verdict, run_test

HERE = Path(__file__).parent


def verdict(target: str, seed: int) -> Verdict:
    result = run_test(
        target=f"{HERE / 'target.py'}:{target}", workload="register", option=["cas=0"],
        nemesis=["cut", "kill", "pause"], time_limit=10, seed=seed, store=HERE / "store",
    )  # fmt: skip
    print(result.explain())
    return result.verdict


def test_it_is_linearizable() -> None:
    assert verdict("Kv", seed=1) is Verdict.VALID


def test_the_planted_bug_is_found() -> None:
    assert verdict("EarlyKv", seed=1) is Verdict.INVALID

from pathlib import Path

from dynamesis.cluster.core.protocol.errors import ERRORS, as_markdown, is_definite

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == as_markdown()


def test_what_may_have_taken_effect_is_never_definite() -> None:
    doubtful = {"timeout", "disconnected", "forward-lost", "write-quorum", "storage-write"}
    assert {code for code in ERRORS if not is_definite(code)} >= doubtful
    assert not is_definite("a code that is not in the table")

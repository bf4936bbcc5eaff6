from dynamesis.harness.cli.local.status import _moving


def move(state: str, waiting: list[str], eta: float | None = None) -> dict[str, object]:
    return {"partition": 1, "state": state, "waiting_for": waiting, "eta": eta}


def test_transfers_are_shown_with_reason_and_time() -> None:
    moving = [
        move("receiving", ["n3"], 12.5),
        move("receiving", ["n1", "n3"], 12.5),
        move("giving up", []),
    ]
    assert _moving({"moving": moving}) == [
        "receiving 2 partitions, waits for n1, n3, about 12.5 s",
        "giving up 1 partitions",
    ]
    assert _moving({"moving": []}) == []
    assert _moving(RuntimeError("no answer")) == []

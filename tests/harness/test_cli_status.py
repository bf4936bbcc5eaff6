from dynamesis.harness.cli.local.status import _moving, _stuck, _wrong


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
        "giving up 1 partition",
    ]
    assert _moving({"moving": []}) == []
    assert _moving(RuntimeError("no answer")) == []


def test_what_will_not_come_of_itself_is_shown_once_with_what_to_do() -> None:
    moving = [move("receiving", ["n1", "n3"]) | {"down": ["n3"]}]
    assert _moving({"moving": moving}) == ["receiving 1 partition, waits for n1, n3 (down)"]
    way_out = {"n3": "n6 has partitions to fetch from it, and it is down: start it, or ..."}
    of_two = {
        "n1": {"membership": {"waits_for": way_out}},
        "n2": {"membership": {"waits_for": way_out}},
        "n3": None,
        "n6": {"membership": None},
    }
    assert _stuck(of_two) == [f"the change waits for n3: {way_out['n3']}"]


def test_what_nodes_hold_against_each_other_is_shown() -> None:
    reason = "params.weights is {} there, {'n1': 2} here"
    answers = {
        "n1": {"same_name": ["n2"], "objections": {"n3": reason}},
        "n2": {"same_name": ["n2"], "objections": {}},
        "n3": None,
    }
    assert _wrong(answers) == [
        "two processes run under the name n2: stop one of them",
        f"n1 has this against n3: {reason}",
    ]

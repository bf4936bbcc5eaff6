"""What clients without contexts do: seeds, shares, keys that rotate, final reads, odd answers."""

import dataclasses
import re
from collections import Counter
from pathlib import Path
from types import MappingProxyType

import pytest
from dynamesis.checkers.history.op import Op, OpError
from dynamesis.checkers.models.models import MODELS, ModelOptions
from dynamesis.checkers.models.operations import FS
from dynamesis.checkers.verdict import Anomaly, Verdict
from dynamesis.checkers.verdict import judge as verdict_of
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Rng
from dynamesis.harness.generators.distributions import uniform
from dynamesis.harness.generators.simulate import simulate
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import Workload
from dynamesis.workloads.plain import PLAIN
from dynamesis.workloads.plain.languages import EVERY, named, spoken
from dynamesis.workloads.script.final_reads import ATTEMPTS
from dynamesis.workloads.script.rotating_keys import RotatingKeys
from dynamesis.workloads.script.used_keys import keys_of
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_play import judge, play
from plain_stores import RIGHT, Counters, LostIncrements
from user_workload import VOTES, vote

from tests.examples import examples

DOCS = Path(__file__).parents[2] / "docs/workloads.md"
NAMES = ["k0", "k1", "k2", "k3"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner),
    max_leaves=6,
)


def invoked(history, f=None):
    return [
        op
        for op in history
        if op.type == "invoke" and isinstance(op.process, int) and f in (None, op.f)
    ]


@pytest.mark.parametrize("name", PLAIN)
def test_the_same_seed_gives_the_same_load(name):
    one, same, other = (play(name, RIGHT[name](1), seed, seconds=2) for seed in (7, 7, 8))
    assert one == same
    assert invoked(one) != invoked(other)


@pytest.mark.parametrize("name", PLAIN)
def test_only_the_operations_that_it_names_are_asked_and_its_model_knows_them(name):
    history = play(name, RIGHT[name](3), 3)
    assert {op.f for op in invoked(history)} == set(PLAIN[name].operations)
    assert set(PLAIN[name].operations) <= FS[PLAIN[name].model]
    assert PLAIN[name].model in MODELS


@pytest.mark.parametrize("name", PLAIN)
def test_its_model_takes_the_options_that_it_gives(name):
    options = PLAIN[name].promises()["model_options"]
    assert set(options) <= MODELS[PLAIN[name].model].options
    assert set(options) <= {field.name for field in dataclasses.fields(ModelOptions)}


@settings(max_examples=examples(6), deadline=None)
@given(st.integers(0, 99), st.lists(st.tuples(st.sampled_from(["ok", "fail", "info"]), JSON)))
@pytest.mark.parametrize("name", PLAIN)
def test_no_answer_breaks_a_shared_script(name, seed, answers):
    endings = iter(answers)

    def complete(op):
        ending, value = next(endings, ("ok", None))
        error = None if ending == "ok" else OpError("odd", ending == "fail")
        return Op(0, op.time + 5, ending, op.process, op.f, op.key, value=value, error=error)

    load = PLAIN[name].generator(Rng(seed), ["k0"], 100.0)
    history = simulate(gen.limit(len(answers) + 20, load), complete, 3)
    assert len(invoked(history)) == len(answers) + 20


@pytest.mark.parametrize(("keys", "concurrency"), [(1, 1), (1, 5), (300, 6)])
@pytest.mark.parametrize("name", PLAIN)
def test_any_number_of_keys_and_of_clients_will_do(name, keys, concurrency):
    history = play(name, RIGHT[name](3), 3, seconds=4, keys=keys, concurrency=concurrency)
    results = judge(name, history)
    assert results.verdict is Verdict.VALID, (results.counts(), results.reasons())


def test_values_of_registers_are_unique_or_few():
    unique = play("register", RIGHT["register"](1))
    values = [op.value[-1] if op.f == "cas" else op.value for op in invoked(unique)]
    values = [value for value in values if value is not None]
    assert len(set(values)) == len(values) > 100
    repeated = play("register", RIGHT["register"](1), values="repeated", range=3)
    assert {op.value for op in invoked(repeated, "write")} == {1, 2, 3}


def test_most_compare_and_sets_aim_at_what_is_there():
    history = play("register", RIGHT["register"](1, down=0.0))
    ends = Counter(op.type for op in history if op.f == "cas" and op.type != "invoke")
    assert ends["ok"] > ends["fail"] > 0


def test_shares_of_registers_are_what_the_options_have():
    history = play("register", RIGHT["register"](1, down=0.0), seconds=20, reads=0.2, cas=0.4)
    load = [op for op in invoked(history) if op.time < 20e9]
    share = {f: len([op for op in load if op.f == f]) / len(load) for f in ("read", "cas")}
    assert 0.15 < share["read"] < 0.25
    assert 0.3 < share["cas"] < 0.45


@pytest.mark.parametrize(("name", "option"), [("register", "per_key"), ("append", "per_key")])
def test_no_key_is_used_longer_than_its_life(name, option):
    final_row = None
    history = play(name, RIGHT[name](1), seconds=10, **{option: 20})
    final_row = next(op.index for op in history if op.f == "phase" and op.value == "final")
    uses = Counter()
    for op in invoked(history[:final_row]):
        if name == "register":
            uses[op.key] += 1
        else:
            uses.update(key for f, key, _ in op.value if f == "append")
    assert max(uses.values()) == 20
    assert len(uses) > 4


@pytest.mark.parametrize("name", ["register", "set", "counter", "append", "rw", "queue"])
def test_every_key_that_was_used_is_read_in_the_end(name):
    history = play(name, RIGHT[name](1), seconds=10)
    final_row = next(op.index for op in history if op.f == "phase" and op.value == "final")
    used = {key for op in invoked(history[:final_row]) for key in keys_of(op)}
    read = {key for op in invoked(history[final_row:]) for key in keys_of(op)}
    assert used == read
    for op in invoked(history[final_row:]):
        writes = [mop for mop in op.value or [] if mop[0] != "r"] if op.f == "txn" else []
        assert op.f in ("read", "drain", "txn")
        assert writes == []


def test_a_group_is_read_as_a_whole_in_the_end():
    history = play("long-fork", RIGHT["long-fork"](1), seconds=5, size=4)
    final_row = next(op.index for op in history if op.f == "phase" and op.value == "final")
    reads = [[key for _, key, _ in op.value] for op in invoked(history[final_row:])]
    assert reads
    assert all(len(keys) == 4 and len({k.split(".")[0] for k in keys}) == 1 for keys in reads)


def test_a_final_read_is_tried_a_bounded_number_of_times():
    def complete(op):
        return dataclasses_free(op, "fail")

    final = PLAIN["set"].final_generator(["a"])
    assert len(invoked(simulate(final, complete, 2))) == ATTEMPTS


def dataclasses_free(op, ending):
    return Op(0, op.time + 5, ending, op.process, op.f, op.key, error=OpError("odd", True))


def test_keys_rotate_slot_by_slot():
    keys = RotatingKeys(uniform(("a", "b")), 2)
    names = []
    for slot in ("a", "a", "b", "a", "b", "a", "b"):
        names.append(keys.key(slot))
        keys = keys.used(slot)
    assert names == ["a", "a", "b", "a.1", "b", "a.1", "b.1"]


# ---- languages


def test_a_name_means_what_the_target_speaks():
    ours = spoken(f"dynamo/{name}" for name in WORKLOADS)
    assert ours["register"] is WORKLOADS["register"]
    other = spoken(["register", "set"])
    assert other["register"] is PLAIN["register"]
    assert "cart" not in other


def test_a_target_that_speaks_both_languages():
    both = spoken(["register", "dynamo/register", "dynamo/cart"])
    assert both["register"] is PLAIN["register"]
    assert both["dynamo/register"] is WORKLOADS["register"]
    assert both["cart"] is both["dynamo/cart"] is WORKLOADS["cart"]


def test_a_target_that_lists_a_workload_that_there_is_not():
    with pytest.raises(ValueError, match=r"unknown workload 'regster': known are .*register"):
        spoken(["regster"])


def test_what_test_json_names_is_the_workload_of_that_model():
    for name, workload in EVERY.items():
        assert named(name.rpartition("/")[2], workload.model) is workload
    for name, table in (("dynamo", WORKLOADS), ("set-full", PLAIN)):
        assert named("set", name) is table["set"]


# ---- a user's own


def test_the_documented_workload_is_this_one():
    (block,) = re.findall(r"```python\n(.*?VOTES.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert block == Path(__file__).with_name("user_workload.py").read_text("utf-8")


def test_an_instance_is_a_workload():
    right = judge(VOTES, play(VOTES, Counters(1), reads=0.3), reads=0.3)
    assert right.verdict is Verdict.VALID, right.reasons()
    assert "out-of-bounds" in judge(VOTES, play(VOTES, LostIncrements(1))).counts()


class Votes(Workload):
    name = "votes"
    model = "counter"
    operations = ("add", "read")
    options = MappingProxyType(VOTES.options)

    def shared(self, load):
        assert self.model == "counter"
        return vote(load)

    def facts(self, chosen):
        return {"candidates": 4}


def test_a_subclass_is_a_workload():
    assert play(Votes(), Counters(1)) == play(VOTES, Counters(1))
    assert Votes().promises() == {**VOTES.promises(), "candidates": 4}
    assert Votes(name="others").name == "others"


def test_a_dataclass_of_a_subclass_is_a_workload():
    made = dataclasses.make_dataclass("Made", [("name", str, "made")], bases=(Votes,), frozen=True)
    assert made().name == "made"
    assert play(made(), Counters(1)) == play(VOTES, Counters(1))


def test_its_own_check_judges_beside_the_model():
    def check(run):
        return verdict_of([Anomaly("too-many", f"{len(run.history)} events")])

    own = dataclasses.replace(PLAIN["counter"], name="mine", check=check)
    results = judge(own, play(own, Counters(1)), own)
    assert results.counts() == {"too-many": 1}
    assert set(results.verdicts) >= {"counter", "mine"}


def test_a_workload_without_a_script_is_refused_by_name():
    with pytest.raises(TypeError, match="workload empty has no script"):
        Workload(name="empty").generator(Rng(1), ["k"], 10)


def test_a_model_that_there_is_not_is_unknown_and_never_valid():
    own = dataclasses.replace(PLAIN["counter"], model="countr")
    results = judge(own, play(own, Counters(1)))
    assert results.verdict is Verdict.UNKNOWN
    assert "unknown model 'countr'" in results.reasons()[0]

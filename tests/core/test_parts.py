"""The small parts: contexts, plans, hash trees, actor names."""

from __future__ import annotations

import random

import pytest
from dynamesis.cluster.core.protocol.events import Persist
from dynamesis.cluster.core.protocol.messages import Entry
from dynamesis.cluster.core.ring.sloppy_quorum import SloppyQuorum
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.storage.merkle import LEAVES, WIDTH, Tree, leaf_of
from dynamesis.cluster.core.versions.context import BadContext, Contexts, SeenVersions
from dynamesis.cluster.core.versions.identity import Identity
from simulator import DictStore, idle_runtime


def _no_zone(node: str) -> None:
    return None


class TestContexts:
    token = Contexts("c1", "s").token(b"k", {"n1:1:1": Entry(3)})

    def test_a_token_reads_back(self) -> None:
        assert Contexts("c1", "s").read(b"k", self.token).state == {"n1:1:1": Entry(3)}
        assert Contexts("c1", "s").read(b"k", b"") == SeenVersions({})

    @pytest.mark.parametrize(
        ("cluster", "secret", "key"), [("c2", "s", b"k"), ("c1", "x", b"k"), ("c1", "s", b"j")]
    )
    def test_a_token_from_elsewhere_is_refused(self, cluster: str, secret: str, key: bytes) -> None:
        with pytest.raises(BadContext):
            Contexts(cluster, secret).read(key, self.token)

    def test_no_flipped_bit_passes(self) -> None:
        for bit in range(len(self.token) * 8):
            forged = bytearray(self.token)
            forged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(BadContext):
                Contexts("c1", "s").read(b"k", bytes(forged))


class TestPlan:
    def test_fallbacks_hold_the_places_of_unhealthy_primaries(self) -> None:
        plan = SloppyQuorum("abcde", 3, lambda n: n not in "ab", True, _no_zone, None)
        assert [(p.primary, p.holder, p.hint_for) for p in plan.places] == [
            ("a", "d", "a"),
            ("b", "e", "b"),
            ("c", "c", None),
        ]

    def test_no_node_ever_holds_two_places(self) -> None:
        plan = SloppyQuorum("abcd", 3, lambda n: True, True, _no_zone, None)
        assert plan.replace(plan.places[0])
        assert not plan.replace(plan.places[1])
        holders = [p.holder for p in plan.places]
        assert len(set(holders)) == 3

    def test_a_strict_plan_stays_with_the_primaries(self) -> None:
        plan = SloppyQuorum("abcde", 3, lambda n: n != "a", False, _no_zone, None)
        assert [p.holder for p in plan.places] == ["a", "b", "c"]
        assert not plan.replace(plan.places[0])


class TestTree:
    def test_the_root_depends_on_content_and_not_on_order(self) -> None:
        items = [(b"k%d" % i, i * 7919) for i in range(500)]
        a, b = Tree(), Tree()
        for key, h in items:
            a.change(key, None, h)
        random.Random(1).shuffle(items)
        for key, h in items:
            b.change(key, None, 1)
            b.change(key, 1, h)
        assert a.root() == b.root() != 0
        b.change(b"k7", 7 * 7919, 0)
        assert a.root() != b.root()
        b.change(b"k7", 0, 7 * 7919)
        assert a.root() == b.root()

    @pytest.mark.parametrize("leaf", [0, 1, WIDTH - 1, LEAVES // 2, LEAVES - 1])
    def test_a_difference_shows_in_every_leaf_the_last_included(self, leaf: int) -> None:
        key = next(k for k in (b"%d" % i for i in range(10**6)) if leaf_of(k) == leaf)
        a, b = Tree(), Tree()
        b.change(key, None, 1)
        assert a.root() != b.root()
        assert [i for i in range(WIDTH) if a.branches()[i] != b.branches()[i]] == [leaf // WIDTH]
        assert b.leaves(leaf // WIDTH)[leaf] != 0

    def test_an_emptied_tree_is_an_empty_one(self) -> None:
        tree = Tree()
        tree.change(b"k", None, 5)
        tree.change(b"k", 5, None)
        assert tree.root() == Tree().root() == 0


class TestIdentity:
    def life(self, store: DictStore, entropy: int) -> tuple[Runtime, Identity]:
        runtime = idle_runtime()
        identity = Identity("n1", runtime, store, entropy, False)
        identity.recover(True, lambda: None)
        return runtime, identity

    def save(self, runtime: Runtime, store: DictStore) -> None:
        for effect in runtime.drain():
            if isinstance(effect, Persist):
                store.commit(effect.writes)
                runtime.persisted(effect.token)

    def test_no_actor_is_named_before_its_lease_is_durable(self) -> None:
        store = DictStore()
        runtime, identity = self.life(store, 1)
        assert identity.new_actor() is None
        self.save(runtime, store)
        assert identity.new_actor() is not None

    def test_no_two_lives_name_the_same_actor(self) -> None:
        store = DictStore()
        seen: set[str] = set()
        for life in range(5):
            runtime, identity = self.life(store, 77)
            self.save(runtime, store)
            for _ in range(100 * life + 1):
                actor = identity.new_actor()
                assert actor is not None
                assert actor not in seen
                seen.add(actor)

    def test_a_lease_is_renewed_before_it_ends_and_never_overrun(self) -> None:
        store = DictStore()
        runtime, identity = self.life(store, 1)
        self.save(runtime, store)
        names = []
        while (actor := identity.new_actor()) is not None:
            names.append(actor)
        assert len(set(names)) == len(names) == 1024
        self.save(runtime, store)
        assert identity.new_actor() is not None

    def test_a_wiped_disk_begins_a_new_incarnation(self) -> None:
        names = []
        for entropy in (1, 2):
            store = DictStore()
            runtime, identity = self.life(store, entropy)
            self.save(runtime, store)
            names.append(identity.new_actor())
        assert names[0] != names[1]

"""The shopping cart of the paper's section 4.4: a set of items that clients add to and
remove from, merging siblings by union. A shop always takes the order: if the cart cannot
be read, what was last known of it is added to.

Catches what a customer would notice: an added item that is gone (lost-write, and by the
cart's own checker lost-item, when a branch is dropped in a merge), versions that ought to
have been replaced (false-sibling), replicas with different carts (divergence). A removed
item that comes back by a merge is the paper's own documented behaviour, counted but not
judged.
"""

from __future__ import annotations

from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import DISTRIBUTION, GENERAL, Load, Workload
from dynamesis.workloads.script.modification import (
    Modification,
    ReadModifyWrite,
    SeenValues,
    mix_options,
)
from dynamesis.workloads.script.script import Script

#: How often a client removes an item from a cart that has one.
_REMOVE = 0.3
#: Items in a cart above which clients remove only, so that values stay small.
_FULL = 40


def merge(seen: SeenValues) -> list[str]:
    """The items of the cart that an application makes of the siblings. A sibling that is
    no cart adds none: that the store returned it is for the checkers to decide."""
    carts = (value.get("items") for value in seen.values if isinstance(value, dict))
    return sorted({str(item) for items in carts if isinstance(items, list) for item in items})


def change_cart(rng: Rng, seen: SeenValues) -> tuple[Modification, Rng]:
    """Add a new item to the merged cart, or remove one that is in it."""
    items = merge(seen)
    remove, rng = rng.chance(_REMOVE)
    if items and (remove or len(items) >= _FULL):
        sku, rng = rng.choice(items)
        return Modification({"remove": sku, "items": [item for item in items if item != sku]}), rng
    sku = f"sku-{seen.number}"
    return Modification({"add": sku, "items": sorted([*items, sku])}), rng


def _script(load: Load) -> Script:
    return ReadModifyWrite.of(load, change_cart)


CART = Workload(
    name="cart",
    description="add and remove items, merging siblings as a shop would: catches lost items, "
    "false siblings and replicas that disagree",
    script=_script,
    checkers=(*GENERAL, "cart"),
    options={"distribution": DISTRIBUTION, **mix_options(blind=0.0)},
)

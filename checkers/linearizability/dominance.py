"""Which configurations of a search are superfluous: what follows from them follows from another.

Steps are bits. `reads` are the open ones that read; `unknown` those of unknown outcome, which never
return: of two configurations that differ in them alone, the one that spent fewer is kept.
"""

from __future__ import annotations

from collections import defaultdict

from dynamesis.checkers.linearizability.acts import Config, Path

#: configurations of one state that are compared with each other
_COMPARED = 48


def undominated(configs: dict[Config, Path], reads: int, unknown: int) -> dict[Config, Path]:
    """Those that no other makes superfluous, of each state the ones first that spent the fewest
    steps of unknown outcome."""
    groups: defaultdict[int, list[Config]] = defaultdict(list)
    for config in configs:
        groups[config[0]].append(config)
    kept: dict[Config, Path] = {}
    for group in groups.values():
        if len(group) > 1:
            group.sort(key=lambda c: (c[1] & unknown).bit_count())
        best: list[Config] = []
        for config in group:
            if not any(dominates(one, config, reads, unknown) for one in best[:_COMPARED]):
                best.append(config)
        kept |= {config: configs[config] for config in best}
    return kept


def dominates(one: Config, other: Config, reads: int, unknown: int) -> bool:
    """Whether whatever follows from `other` follows from `one` too; their states are equal."""
    _, used, free = one
    _, spent, loose = other
    if spent & reads & ~used or used & unknown & ~spent:
        return False
    certain = ~(reads | unknown)
    mine, its = used & certain, spent & certain
    return not (mine & ~its or its & ~(mine | free) or loose & ~free)

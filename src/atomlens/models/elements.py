"""Elements that a model was not trained on, in words; without loading what runs a model."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ase.data import chemical_symbols


def unseen_elements(known: Collection[int] | None, numbers: Iterable[int]) -> str | None:
    """What is wrong with atomic numbers for a model that was trained on `known` ones (None: on any).

    Examples
    --------
    >>> unseen_elements((1, 6), [6, 6, 9])
    'the structure has F, which this model never saw; it was trained on H, C'
    """
    if known is None:
        return None
    unseen = [chemical_symbols[z] for z in sorted(set(numbers) - set(known))]
    if not unseen:
        return None
    trained = ", ".join(chemical_symbols[z] for z in known)
    return f"the structure has {', '.join(unseen)}, which this model never saw; it was trained on {trained}"

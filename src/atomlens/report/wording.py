"""Sentences of the page that depend on the rule, the property and the unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RuleText:
    """A rule's name, what it does in one line and in full, and whether terms add up to the prediction under it."""

    name: str
    short: str
    long: str
    conserves: bool = True


@dataclass(frozen=True)
class SignText:
    """What a negative and a positive term mean."""

    lowers: str
    raises: str
    sentence: str
    orange: str


RULES: dict[str, RuleText] = {
    "gate": RuleText(
        "gate",
        "activations frozen at their ratio output / input",
        "Every activation act(z) is written as (act(z)/z) z, and the ratio is frozen at its value for this structure. "
        "What remains is linear and gives the prediction exactly.",
    ),
    "gamma": RuleText(
        "gamma",
        "LRP-γ: contributions of the output's sign count more",
        "Layer-wise relevance propagation with the gamma rule, generalised to signed inputs: in a layer of weights, "
        "contributions that have the sign of the output count 1 + γ times, and their sum is scaled back to the output. "
        "Activations are frozen as under the gate rule.",
    ),
    "gradient": RuleText(
        "gradient",
        "activations replaced by their slope",
        "Every activation is replaced by its tangent at this structure; the offset of the tangent counts as bias.",
    ),
    "published": RuleText(
        "published",
        "LRP-γ of arXiv:2407.04526, γ = 0.1; it conserves nothing",
        "Layer-wise relevance propagation as the program of arXiv:2407.04526 has it: in layers with an activation, "
        "contributions of the output's sign count 1.1 times, and the sum is divided by the larger of what inputs and "
        "bias contribute. Outputs change by this, so the parts add up to the output of the changed network and not to "
        "the prediction.",
        conserves=False,
    ),
}

PRODUCT_RULES: dict[str, RuleText] = {
    "full": RuleText(
        "full",
        "both factors carry relevance",
        "Where two signals are multiplied, each factor carries half of the relevance; vector features take part.",
    ),
    "scalar": RuleText(
        "scalar",
        "vector features only gate",
        "Where two signals are multiplied, scalar features carry the relevance; vector features, which turn with the "
        "structure, are frozen.",
    ),
}

SIGNS: dict[str, SignText] = {
    "energy": SignText(
        "negative: lowers the {property}, stabilising",
        "positive: raises the {property}, destabilising",
        "negative terms stabilise, positive terms destabilise",
        "An orange cylinder is a pair whose term raises the {property}: messages that visit these two atoms and no "
        "other add to it. This does not mean that the bond is broken. Between atoms that are not "
        "bonded, orange often means repulsion. On a bond, look at the constant part first: many models measure every "
        "atom from an average atom of their training set, and then a bond weaker than the average has a positive term. "
        "Compare bonds with each other rather than with zero.",
    ),
    "other": SignText(
        "negative: lowers the {property}",
        "positive: raises the {property}",
        "negative terms lower it, positive terms raise it",
        "An orange cylinder is a pair whose term raises the {property}: the model predicts a larger value because "
        "these two atoms are near each other. The {property} is not the energy of the molecule, so the colour says "
        "nothing about attraction or repulsion. Terms are measured from the constant part: compare pairs with each "
        "other rather than with zero.",
    ),
}


def is_energy(words: str) -> bool:
    """Whether a readable property is an energy, so that lower means more stable."""
    return any(kind in words for kind in ("energy", "enthalpy"))


# Entries of a card that hold the smallest and the largest value of a training set, and units that go with names.
_EXTREMES = ("atoms", "distances")
_UNITS = {"distances": " Å", "distances within": " Å"}


def card_entry(value: Any, name: str = "") -> str:
    """An entry of a model card as text: nested entries with their names, extremes of a training set as ranges.

    Examples
    --------
    >>> card_entry({"test": {"energy MAE": "2.3 meV"}, "seed": 1})
    'test: energy MAE 2.3 meV, seed 1'
    >>> card_entry({"atoms": [1, 61], "charges": [-1, 0, 1], "distances": {"H-C": [0.922, 5.0]}})
    'atoms 1 to 61; charges -1, 0, 1; distances: H-C 0.922 to 5.0 Å'
    """
    if isinstance(value, Mapping):
        entries = [
            f"{key}{':' if isinstance(entry, Mapping) else ''} {card_entry(entry, name if name in _EXTREMES else key)}"
            for key, entry in value.items()
        ]
        return _listed(entries)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        if name in _EXTREMES and len(value) == 2:
            low, high = value
            return (f"{low}" if low == high else f"{low} to {high}") + _UNITS.get(name, "")
        return _listed([card_entry(entry) for entry in value])
    return f"{value}{_UNITS.get(name, '')}"


def _listed(texts: Sequence[str]) -> str:
    """Texts behind commas, behind semicolons where a text has commas itself."""
    return ("; " if any(", " in text for text in texts) else ", ").join(texts)


def documentation_address() -> str:
    """Address of the documentation, as the installed package names it; empty where it names none."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        addresses = metadata("atomlens").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    named = dict(entry.split(", ", 1) for entry in addresses)
    return named.get("Documentation", "")

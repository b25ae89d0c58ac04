"""Sentences of the page that depend on the rule, the property and the unit."""

from __future__ import annotations

from dataclasses import dataclass


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


RULES: dict[str, RuleText] = {
    "gate": RuleText(
        "gate",
        "activations held at their ratio output / input",
        "Every activation act(z) is written as (act(z)/z) z and the ratio is held at its value for this structure. "
        "What remains is linear and gives the prediction exactly.",
    ),
    "gamma": RuleText(
        "gamma",
        "LRP-γ: contributions of the output's sign count more",
        "Layer-wise relevance propagation with the gamma rule, generalised to signed inputs: in a layer of weights, "
        "contributions that have the sign of the output count 1 + γ times, and their sum is scaled back to the output. "
        "Activations are held as under the gate rule.",
    ),
    "gradient": RuleText(
        "gradient",
        "activations replaced by their slope",
        "Every activation is replaced by its tangent at this structure; what the tangents leave over counts as bias.",
    ),
    "published": RuleText(
        "published",
        "LRP-γ of arXiv:2407.04526, γ = 0.1; it conserves nothing",
        "Layer-wise relevance propagation as the program of arXiv:2407.04526 has it: layers with an activation are replaced "
        "by ones in which contributions of the output's sign count 1.1 times, divided by the larger of what inputs and bias "
        "contribute. Their output changes, so parts add up to the output of the replaced network, not to the prediction.",
        conserves=False,
    ),
}

PRODUCT_RULES: dict[str, RuleText] = {
    "scalar": RuleText(
        "scalar",
        "vector features only gate",
        "Where PaiNN multiplies two signals, scalar features carry the relevance and vector features are held fixed.",
    ),
    "full": RuleText(
        "full",
        "both factors carry relevance",
        "Where PaiNN multiplies two signals, both factors carry relevance, half of it each; vector features take part.",
    ),
}

SIGNS: dict[str, SignText] = {
    "energy": SignText(
        "negative: lowers the {property}, stabilising",
        "positive: raises the {property}, destabilising",
        "negative terms stabilise, positive terms destabilise",
    ),
    "other": SignText(
        "negative: lowers the {property}",
        "positive: raises the {property}",
        "negative terms lower it, positive terms raise it",
    ),
}


def property_words(name: str) -> str:
    """Readable name of a property: underscores become spaces."""
    return name.replace("_", " ").strip() or "prediction"

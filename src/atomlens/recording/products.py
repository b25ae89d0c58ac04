"""Product rules: which factors carry relevance where two signals are multiplied."""

from __future__ import annotations

# full: each factor carries half. scalar: what turns with the structure (vectors, l > 0) is frozen and only gates.
PRODUCT_RULES = ("full", "scalar")
# Of every model and every command; docs/faithfulness.md says why.
DEFAULT_PRODUCT_RULE = "full"


def check_product_rule(product_rule: str) -> None:
    """Raise `ValueError` unless the name is one of `PRODUCT_RULES`.

    Examples
    --------
    >>> check_product_rule("half")
    Traceback (most recent call last):
        ...
    ValueError: product rule 'half' is not known; choose full or scalar
    """
    if product_rule not in PRODUCT_RULES:
        raise ValueError(f"product rule {product_rule!r} is not known; choose {' or '.join(PRODUCT_RULES)}")

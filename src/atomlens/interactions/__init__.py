"""Terms of order n, groups, and the explanation that holds them."""

from atomlens.interactions.explanation import Explanation, explain
from atomlens.interactions.terms import Interactions, Terms, group_terms, interaction_terms

__all__ = ["Explanation", "Interactions", "Terms", "explain", "group_terms", "interaction_terms"]

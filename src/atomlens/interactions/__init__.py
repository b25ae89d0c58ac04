"""Terms of order n, groups, and the explanation that holds them."""

from atomlens.interactions.batch import BatchExplanation, explain_batch, explain_graphs
from atomlens.interactions.explanation import Explanation, explain, explain_chain, explain_module
from atomlens.interactions.terms import Interactions, Terms, group_terms, interaction_terms

__all__ = [
    "BatchExplanation",
    "Explanation",
    "Interactions",
    "Terms",
    "explain",
    "explain_batch",
    "explain_chain",
    "explain_graphs",
    "explain_module",
    "group_terms",
    "interaction_terms",
]

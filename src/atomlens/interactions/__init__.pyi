from .batch import BatchExplanation, explain_batch, explain_graphs
from .explaining import explain, explain_chain, explain_module
from .explanation import Explanation
from .pair_forces import PairForces
from .terms import Interactions, Terms, check_order, group_terms, interaction_terms

__all__ = [
    "BatchExplanation",
    "Explanation",
    "Interactions",
    "PairForces",
    "Terms",
    "check_order",
    "explain",
    "explain_batch",
    "explain_chain",
    "explain_graphs",
    "explain_module",
    "group_terms",
    "interaction_terms",
]

"""The linear view of a model: chain, rules, closed forms, automatic form."""

from atomlens.chain.automatic import automatic_chain
from atomlens.chain.build import (
    PRODUCT_RULES,
    ChainBatch,
    check_product_rule,
    make_automatic_chain,
    make_chain,
    make_chain_batch,
)
from atomlens.chain.chain import Chain, Layer
from atomlens.chain.edges import ChannelWeights, EdgeMatrices, EdgeOperator, PairIndex, merge_images
from atomlens.chain.operators import AtomOperator
from atomlens.chain.readout import constant_meaning
from atomlens.chain.recorded import RecordedSums, recorded_chain, recorded_sums
from atomlens.chain.rules import Gamma, Gate, Gradient, Rule, make_rule

__all__ = [
    "PRODUCT_RULES",
    "AtomOperator",
    "Chain",
    "ChainBatch",
    "ChannelWeights",
    "EdgeMatrices",
    "EdgeOperator",
    "Gamma",
    "Gate",
    "Gradient",
    "Layer",
    "PairIndex",
    "RecordedSums",
    "Rule",
    "automatic_chain",
    "check_product_rule",
    "constant_meaning",
    "make_automatic_chain",
    "make_chain",
    "make_chain_batch",
    "make_rule",
    "merge_images",
    "recorded_chain",
    "recorded_sums",
]

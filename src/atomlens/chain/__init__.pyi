from .automatic import automatic_chain
from .build import ChainBatch, make_automatic_chain, make_chain, make_chain_batch
from .chain import Chain, Layer
from .edges import ChannelWeights, EdgeMatrices, EdgeOperator, Edges, PairIndex, merge_images
from .operators import AtomOperator
from .own import RecordedPotential, has_closed_form, recorded_potential
from .readout import constant_meaning, scalar_output
from .recorded import RecordedSums, recorded_chain, recorded_sums
from .rules import Gamma, Gate, Gradient, Published, Rule, make_rule

__all__ = [
    "AtomOperator",
    "Chain",
    "ChainBatch",
    "ChannelWeights",
    "EdgeMatrices",
    "EdgeOperator",
    "Edges",
    "Gamma",
    "Gate",
    "Gradient",
    "Layer",
    "PairIndex",
    "Published",
    "RecordedPotential",
    "RecordedSums",
    "Rule",
    "automatic_chain",
    "constant_meaning",
    "has_closed_form",
    "make_automatic_chain",
    "make_chain",
    "make_chain_batch",
    "make_rule",
    "merge_images",
    "recorded_chain",
    "recorded_potential",
    "recorded_sums",
    "scalar_output",
]

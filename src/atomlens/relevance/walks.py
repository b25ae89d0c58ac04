r"""All relevance walks of a chain, exactly, without a pass through the network for each.

.. math:: R_w = r_{w_T} J^{(T-1)}_{w_T w_{T-1}} \cdots J^{(0)}_{w_1 w_0} x^{(0)}_{w_0}

The product is contracted from both ends; halves that meet in the middle layer are joined by one matrix product per
atom, so the cost is that of writing the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain import Chain
from atomlens.relevance.join import Block, joints
from atomlens.relevance.steps import count_half_walks
from atomlens.structures import machine_memory


class _AtomsAndRelevance(NamedTuple):
    atoms: Int[np.ndarray, "W S"]
    relevance: Float[np.ndarray, " W"]


class Walks(_AtomsAndRelevance):
    """Relevance walks, a pair of arrays.

    Attributes
    ----------
    atoms
        Visited atoms in order of time, (W, steps + 1) int32; a walk may stay where it is.
    relevance
        R_w in the unit of the prediction, (W,).
    symbols
        Chemical symbol of every atom; empty where they are not known.
    unit
        Unit of the relevance; empty where it is not known.
    """

    symbols: tuple[str, ...] = ()
    unit: str = ""

    def named(self, symbols: Sequence[str], unit: str) -> Walks:
        """The same walks with the symbols of their atoms and their unit."""
        walks = Walks(*self)
        walks.symbols, walks.unit = tuple(symbols), unit
        return walks

    def to_frame(self, symbols: Sequence[str] = ()) -> pl.DataFrame:
        """The walks as a table, in their order; ``atom_0`` is where a walk starts, the last atom where it is read out.

        Parameters
        ----------
        symbols
            Chemical symbol of every atom, for a column ``elements`` ("C-C-O-O"); those of the walks if empty.

        Examples
        --------
        >>> Walks(np.array([[0, 1, 1]]), np.array([0.5])).to_frame("OH").rows()
        [(0, 1, 1, 'O-H-H', 0.5)]
        """
        steps = [pl.Series(f"atom_{t}", column, dtype=pl.Int32) for t, column in enumerate(self.atoms.T)]
        relevance = pl.Series("relevance", self.relevance.astype(np.float64))
        table = pl.DataFrame([*steps, relevance])
        labels = pl.Series([str(symbol) for symbol in symbols or self.symbols], dtype=pl.String)
        if not len(labels):
            return table
        elements = pl.concat_str([labels.gather(step) for step in steps], separator="-").alias("elements")
        return table.select(*(step.name for step in steps), elements, "relevance")

    def __repr__(self) -> str:
        if not len(self.relevance):
            return "Walks(none)"
        k = int(np.abs(self.relevance).argmax())
        names = [f"{self.symbols[atom]}{atom}" if self.symbols else str(atom) for atom in self.atoms[k].tolist()]
        strongest = f"{' -> '.join(names)}: {self.relevance[k]:+.3g}{f' {self.unit}' if self.unit else ''}"
        return f"Walks({len(self.relevance)} of {self.atoms.shape[1]} atoms each, strongest {strongest})"


def count_walks(chain: Chain) -> int:
    """Number of full walks of a chain."""
    return round(float(count_half_walks(chain, chain.n_layers).sum()))


def all_walks(chain: Chain) -> Walks:
    """Every full walk of the chain.

    Time and memory are those of the result (4 bytes per atom and one number per walk), besides at most
    about 1 GB of work space.

    Raises
    ------
    MemoryError
        If the list would not fit in this machine's memory.
    """
    n = count_walks(chain)
    steps = chain.n_layers + 1
    size = n * (4 * steps + chain.embedding.element_size())
    memory = machine_memory()
    if size > 0.8 * memory:
        raise MemoryError(
            f"{n:.3g} walks of {steps} atoms need {size / 1e9:.3g} GB; this machine has {memory / 1e9:.0f} GB. "
            "Ask for top_walks(k), or for interactions, which need no list of walks"
        )
    # One row per step: what a block writes into each row is contiguous. The result is the transposed view.
    atoms = np.empty((steps, n), dtype=np.int32)
    relevance = chain.embedding.new_empty(n)
    done = 0
    for block in _blocks(chain, relevance):
        size = block.values.numel()
        _write(block, atoms[:, done : done + size])
        done += size
    return Walks(atoms.T, relevance.cpu().numpy())


def walk_blocks(chain: Chain) -> Iterator[Walks]:
    """Every full walk, in blocks of at most about four million: memory stays bounded however many there are."""
    for block in _blocks(chain):
        atoms = np.empty((chain.n_layers + 1, block.values.numel()), dtype=np.int32)
        _write(block, atoms)
        yield Walks(atoms.T, block.values.flatten().cpu().numpy())


def _blocks(chain: Chain, relevance: Float[Tensor, " W"] | None = None) -> Iterator[Block]:
    """Blocks of walks; values are parts of `relevance`, one after the other, where it is given."""
    if chain.n_layers == 0:
        values = (chain.readout * chain.embedding).sum(dim=1) + chain.readout_bias
        if relevance is not None:
            relevance.copy_(values)
        here = np.arange(chain.n_atoms, dtype=np.int32)[None]
        yield Block(values[:, None], here, here[:0, :1])
        return
    done = 0
    for joint in joints(chain):
        for block in joint.blocks(relevance, done):
            done += block.values.numel()
            yield block


def _write(block: Block, atoms: Int[np.ndarray, "S W"]) -> None:
    """Visited atoms of a block's walks, row by row."""
    table = atoms.reshape(len(atoms), *block.values.shape)
    before = len(block.rows)
    table[:before] = block.rows[:, :, None]
    table[before:] = block.columns[:, None, :]

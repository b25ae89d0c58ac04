"""Models that no closed form covers: sums over sets by brute force, messages that read their target, refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ase
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import atomlens
from atomlens.chain import make_rule
from atomlens.recording import StructureInputs, check_layers, record
from atomlens.recording.sets import RowFinder
from atomlens.recording.union import Union
from atomlens.relevance import AtomSets, restricted_sums
from atomlens.structures import InputError, build_graph
from samples import branched, crowded_cell

F64 = torch.float64


class Toy:
    """A model as a user may write it; `message` makes messages from states of sources and targets, and lengths."""

    def __init__(self, message: Callable[[Toy, Tensor, Tensor, Tensor], Tensor], n_layers: int = 2) -> None:
        self.property, self.unit, self.cutoff, self.dtype = "energy", "eV", 2.5, F64
        self.elements: tuple[int, ...] = ()
        self.message = message
        self.table = nn.Embedding(10, 4).to(F64)
        self.linear = nn.ModuleList(nn.Linear(4, 4) for _ in range(n_layers)).to(F64)
        self.head = nn.Sequential(nn.Linear(4, 3), nn.SiLU(), nn.Linear(3, 1)).to(F64)

    @property
    def embedding(self) -> Sequence[nn.Module]:
        return [self.table]

    def inputs(self, atoms: ase.Atoms) -> StructureInputs:
        graph = build_graph(atoms, self.cutoff, dtype=F64)
        vectors = graph.positions[graph.source] + graph.offsets - graph.positions[graph.target]
        tensors = {"z": graph.numbers, "i": graph.target, "j": graph.source, "r": vectors}
        return StructureInputs(tensors, graph.n_atoms, graph.source, graph.target, graph.offsets)

    def energy(self, tensors: Mapping[str, Tensor]) -> Tensor:
        x = self.table(tensors["z"])
        decay = torch.exp(-tensors["r"].norm(dim=1, keepdim=True))
        for linear in self.linear:
            sent = self.message(self, x[tensors["j"]], x[tensors["i"]], decay)
            gathered = torch.zeros_like(x).index_add(0, tensors["i"], sent)
            x = x + functional.silu(linear(gathered))
        return self.head(x).sum() + 2.5


def plain(toy: Toy, source: Tensor, target: Tensor, decay: Tensor) -> Tensor:
    return source * decay


def attentive(toy: Toy, source: Tensor, target: Tensor, decay: Tensor) -> Tensor:
    return source * torch.sigmoid((source * target).sum(1, keepdim=True)) * decay


MESSAGES = {
    "plain": plain,
    "norm": lambda toy, s, t, d: s * d * s.norm(dim=1, keepdim=True),
    "einsum of two signals": lambda toy, s, t, d: torch.einsum("ec,ed,cdf->ef", s, torch.tanh(s), WEIGHTS) * d,
    "three factors": lambda toy, s, t, d: torch.einsum("ec,ec,ec->ec", s, s, s) * d,
    "written in place": lambda toy, s, t, d: _written(s) * d,
    "scripted": lambda toy, s, t, d: _scripted(s, d),
    "flattened": lambda toy, s, t, d: (s.reshape(-1, 2) @ WEIGHTS[0, :2, :2]).reshape(-1, 4) * d,
}
WEIGHTS = torch.linspace(-0.7, 1.1, 64, dtype=F64).reshape(4, 4, 4)


def _written(s: Tensor) -> Tensor:
    room = torch.zeros(s.shape[0], 2, 4, dtype=F64)
    room[:, 0].narrow(1, 1, 3).copy_(s[:, :3])
    room[:, 1] += s
    return room.sum(1).mul_(2.0)


@torch.jit.script
def _scripted(s: Tensor, d: Tensor) -> Tensor:
    y = torch.zeros_like(s)
    y.add_(torch.nn.functional.silu(s) * d)
    return y


@pytest.mark.parametrize("message", list(MESSAGES))
@pytest.mark.parametrize("structure", [branched, crowded_cell])
def test_sums_are_those_of_walks_one_by_one(message, structure):
    atoms = structure()
    ex = atomlens.explain_module(Toy(MESSAGES[message]), atoms)
    walks = [ex.walks(), *ex.bias_walks()]
    total = sum(float(w.relevance.sum()) for w in walks)
    assert ex.constant + total == pytest.approx(ex.prediction, rel=1e-12)
    sets = [[0], [1, 2], [0, 1, 2]]
    for members, value in zip(sets, restricted_sums(ex.sums, AtomSets.of(sets)).tolist(), strict=True):
        inside = sum(float(w.relevance[np.isin(w.atoms, members).all(axis=1)].sum()) for w in walks)
        assert value == pytest.approx(inside, abs=1e-11)


class Numbers(Toy):
    """Atoms hold one number each, without an axis of features."""

    def energy(self, tensors: Mapping[str, Tensor]) -> Tensor:
        q = self.table(tensors["z"])[:, 0]
        decay = torch.exp(-tensors["r"].norm(dim=1))
        for _ in self.linear:
            q = q + torch.tanh(torch.zeros_like(q).index_add(0, tensors["i"], q[tensors["j"]] * decay))
        return q.sum() + 2.5


@pytest.mark.parametrize("n_layers", [2, 3])
def test_states_of_one_number_an_atom(n_layers):
    ex = atomlens.explain_module(Numbers(plain, n_layers), branched())
    walks = [ex.walks(), *ex.bias_walks()]
    for members in ([0], [1, 2], [0, 1, 2]):
        inside = sum(float(w.relevance[np.isin(w.atoms, members).all(axis=1)].sum()) for w in walks)
        (value,) = restricted_sums(ex.sums, AtomSets.of([members])).tolist()
        assert value == pytest.approx(inside, abs=1e-11)


@pytest.mark.parametrize("message", list(MESSAGES))
def test_relevance_by_starting_atom_is_that_of_autograd(message):
    toy, atoms = Toy(MESSAGES[message]), branched()
    ex = atomlens.explain_module(toy, atoms, "gradient")
    walks = ex.walks()
    found = np.bincount(walks.atoms[:, 0], walks.relevance, minlength=len(atoms))
    kept = {}
    hook = toy.table.register_forward_hook(lambda module, args, out: kept.setdefault("x", out))
    energy = toy.energy(toy.inputs(atoms).tensors)
    hook.remove()
    (gradient,) = torch.autograd.grad(energy, kept["x"])
    np.testing.assert_allclose(found, (gradient * kept["x"]).sum(1).detach().numpy(), atol=1e-11)


def test_a_symmetric_product_of_n_carries_a_part_of_its_derivative():
    toy = Toy(MESSAGES["three factors"], n_layers=1)
    toy.linear[0] = nn.Identity()  # type: ignore[assignment]
    toy.head = nn.Sequential(nn.Linear(4, 1)).to(F64)  # type: ignore[assignment]
    atoms = ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 0.97]])
    with torch.no_grad():
        x = toy.table(torch.tensor([8, 1]))
        decay = np.exp(-0.97)
        cubes = (x[[1, 0]] ** 3) * decay
        act = functional.silu(cubes) @ toy.head[0].weight[0]
        alone = x @ toy.head[0].weight[0]
    terms = atomlens.explain_module(toy, atoms).interactions(2)
    np.testing.assert_allclose(terms.order(1).relevance, alone.numpy(), atol=1e-12)
    np.testing.assert_allclose(terms.order(2).relevance, [float(act.sum())], atol=1e-12)


def test_messages_that_read_their_target_have_terms_but_no_walks():
    toy, atoms = Toy(attentive), branched()
    ex = atomlens.explain_module(toy, atoms)
    assert ex.no_walks is not None
    for ask in (ex.walks, ex.bias_walks, lambda: ex.top_walks(3)):
        with pytest.raises(InputError, match="no walks: messages read the state of the atom that receives them"):
            ask()
    terms = ex.interactions(3)
    total = sum(float(terms.order(n).relevance.sum()) for n in (1, 2, 3)) + terms.remainder
    assert ex.constant + total == pytest.approx(ex.prediction, rel=1e-12)
    for share in ex.atom_shares():
        assert float(share.sum()) == pytest.approx(ex.prediction - ex.constant, rel=1e-11)
    groups = ex.group_interactions([[0, 1, 2], [3]])
    assert groups.remainder == pytest.approx(float(terms.order(1).relevance[4]), abs=1e-11)


def test_sums_of_target_readers_are_those_of_masked_copies():
    """Brute force: the recorded factors put into the toy's own formula, with what lies outside the set left out."""
    toy, atoms = Toy(attentive, n_layers=1), branched()
    ex = atomlens.explain_module(toy, atoms)
    inputs = toy.inputs(atoms)
    i, j = inputs.target, inputs.source
    with torch.no_grad():
        x = toy.table(inputs.tensors["z"])
        d = torch.exp(-inputs.tensors["r"].norm(dim=1, keepdim=True))
        dot = (x[j] * x[i]).sum(1, keepdim=True)
        gate = torch.sigmoid(dot)
        gain = (gate - 0.5) / dot
        gathered = torch.zeros_like(x).index_add(0, i, x[j] * gate * d)
        hidden = toy.linear[0](gathered)
        gain_2 = functional.silu(hidden) / hidden
        after = x + functional.silu(hidden)
        hidden_3 = toy.head[0](after)
        weights = (toy.head[2].weight * functional.silu(hidden_3) / hidden_3) @ toy.head[0].weight
        # Half of a product for each factor: the gate's part is linear in source and target alike.
        message = 0.5 * gate * x[j] + 0.5 * x[j] * gain * (0.5 * dot + 0.5 * dot)
        linear = torch.zeros_like(x).index_add(0, i, message * d)
        rho = ex.sums.layers.biases[-1]
        (bias,) = rho.values()
        for members in ([0], [0, 1], [0, 1, 2]):
            inside = torch.isin(i, torch.tensor(members)) & torch.isin(j, torch.tensor(members))
            part = torch.zeros_like(x).index_add(0, i[inside], (message * d)[inside])
            state = x + (part @ toy.linear[0].weight.T) * gain_2
            value = float(((weights * state).sum(1) + bias.flatten())[members].sum())
            (found,) = restricted_sums(ex.sums, AtomSets.of([members])).tolist()
            assert found == pytest.approx(value, abs=1e-11)
        assert linear.shape == x.shape


class Normalised(Toy):
    """Attention whose weights add up to one at every atom: sums over neighbours go back to the edges."""

    def energy(self, tensors: Mapping[str, Tensor]) -> Tensor:
        i, j = tensors["i"], tensors["j"]
        x = self.table(tensors["z"])
        decay = torch.exp(-tensors["r"].norm(dim=1, keepdim=True))
        for linear in self.linear:
            weights = torch.exp(torch.tanh((linear(x)[i] * x[j]).sum(1, keepdim=True))) * decay
            total = torch.zeros(len(x), 1, dtype=F64).index_add(0, i, weights) + 1e-3
            x = x + torch.zeros_like(x).index_add(0, i, weights / total[i] * x[j])
        return self.head(x).sum() + 2.5


@pytest.mark.parametrize("rule", ["gate", "gradient"])
@pytest.mark.parametrize("structure", [branched, crowded_cell])
def test_weights_that_are_normalised_by_neighbours_have_terms(rule, structure):
    toy, atoms = Normalised(plain), structure()
    ex = atomlens.explain_module(toy, atoms, rule)
    assert ex.no_walks is not None
    layers = ex.sums.layers
    sets = [[0], [0, 1], [1, 2], list(range(len(atoms)))]
    members, sizes = torch.tensor([i for one in sets for i in one]), torch.tensor([len(one) for one in sets])
    quick = restricted_sums(ex.sums, AtomSets.of(sets)).numpy()
    slow = Union(layers).plain(RowFinder(layers.inputs).find(members, sizes), len(sets)).numpy()
    np.testing.assert_allclose(quick, slow, rtol=1e-12, atol=1e-12)
    assert quick[-1] + ex.constant == pytest.approx(ex.prediction, rel=1e-12)
    assert len(set(np.round(quick, 9))) == len(sets)


def test_constants_of_atoms_are_no_relevance():
    class Shifted(Toy):
        def energy(self, tensors: Mapping[str, Tensor]) -> Tensor:
            return super().energy(tensors) + (100.0 * tensors["z"]).sum()

    toy, atoms = Shifted(plain), branched()
    ex = atomlens.explain_module(toy, atoms)
    last = float(toy.head[2].bias.detach()[0])
    assert ex.constant == pytest.approx(100.0 * atoms.numbers.sum() + 2.5 + last * len(atoms), rel=1e-12)


@pytest.mark.parametrize("rule", ["gate", "gamma", "gradient"])
@pytest.mark.parametrize("message", [*MESSAGES.values(), attentive])
def test_checks_are_rounding(message, rule):
    recording = record(Toy(message), crowded_cell())
    assert max(check_layers(recording.layers(make_rule(rule)))) < 1e-13


def test_an_unknown_operator_is_refused_by_name_unless_it_shall_be_a_bias():
    def strange(toy: Toy, s: Tensor, t: Tensor, d: Tensor) -> Tensor:
        return (s - s.amax(dim=1, keepdim=True)) * d

    with pytest.raises(InputError, match=r"aten\.amax"):
        atomlens.explain_module(Toy(strange), branched())
    ex = atomlens.explain_module(Toy(strange), branched(), as_bias=("aten.amax",))
    assert abs(ex.residual) < 1e-12
    assert "aten.amax" in ex.constant_meaning
    assert abs(ex.bias_share) > 0


def test_a_global_sum_of_states_is_refused_for_walks_only():
    def everyone(toy: Toy, s: Tensor, t: Tensor, d: Tensor) -> Tensor:
        return (s + t) * d

    ex = atomlens.explain_module(Toy(everyone), branched())
    assert ex.no_walks is not None
    assert abs(ex.residual) < 1e-12


def test_an_index_that_the_model_does_not_name_is_refused():
    def reversed_rows(toy: Toy, s: Tensor, t: Tensor, d: Tensor) -> Tensor:
        return s[torch.arange(len(s) - 1, -1, -1)] * d

    with pytest.raises(InputError, match="index"):
        atomlens.explain_module(Toy(reversed_rows), branched())


@pytest.mark.parametrize("how", ["grad", "backward"])
def test_a_model_that_takes_derivatives_on_the_way_is_refused_in_one_line(how):
    class WithForces(Toy):
        def energy(self, tensors: Mapping[str, Tensor]) -> Tensor:
            vectors = tensors["r"].detach().clone().requires_grad_()
            energy = super().energy({**tensors, "r": vectors})
            if how == "grad":
                torch.autograd.grad(energy, vectors, create_graph=True)
            else:
                energy.backward()
            return energy

    with pytest.raises(InputError, match="takes derivatives while it computes its energy"):
        atomlens.explain_module(WithForces(plain), branched())


def test_later_structures_need_one_recording_and_nothing_of_the_model_changes():
    toy = Toy(plain)
    before = {name: value.clone() for name, value in toy.head.state_dict().items()}
    first = record(toy, branched())
    second = record(toy, crowded_cell())
    assert first.opened is second.opened
    assert not toy.table._forward_hooks
    for name, value in toy.head.state_dict().items():
        assert torch.equal(value, before[name])

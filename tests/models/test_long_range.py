"""Energies of all pairs: against brute force, by their laws, and as part of a model."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import ase
import ase.build
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import atomlens
from atomlens.models import CutoffConfig, LongRangeConfig, ModelConfig, OutputConfig, ReadoutConfig
from atomlens.models.long_range import COULOMB, all_pairs
from atomlens.models.units import ENERGY_UNITS
from atomlens.potentials import save_schnetpack_state_dict
from atomlens.structures import InputError, build_graph, collate
from samples import branched, crowded_cell, long_range_model, molecules, small_model

KINDS = ("coulomb", "dispersion", "coulomb+dispersion")
BALANCES = ("mean", "neighbors", "none")
ARCHITECTURES = ("schnet", "painn")


def held(model: atomlens.Potential, atoms: ase.Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Charges in e and C6 in eV Å^6 of a model that has both."""
    assert model.long_range is not None
    graph = model.graph(atoms)
    features = model.representation(graph)
    charges = model.long_range.charges(features, graph, model.representation.cutoff)
    return charges.numpy(), model.long_range.c6(features).numpy()


def pair_energy(config: LongRangeConfig, q: np.ndarray, c6: np.ndarray, i: int, j: int, r: float) -> dict[str, float]:
    """Energy of one pair in eV, from the formulas as a textbook writes them."""
    radius = config.a1 * math.sqrt(config.c8_ratio) + config.a2
    c = math.sqrt(c6[i] * c6[j])
    return {
        "coulomb": 14.3996454 * q[i] * q[j] * math.erf(r / config.charge_length) / r,
        "dispersion": -c / (r**6 + radius**6) - config.s8 * config.c8_ratio * c / (r**8 + radius**8),
    }


@settings(max_examples=40)
@given(
    atoms=molecules(max_atoms=7),
    kind=st.sampled_from(KINDS),
    balance=st.sampled_from(BALANCES),
    architecture=st.sampled_from(ARCHITECTURES),
    unit=st.sampled_from(["eV", "kcal/mol"]),
)
def test_the_prediction_is_the_plain_model_and_a_sum_over_all_pairs(atoms, kind, balance, architecture, unit):
    total = 0.0 if balance == "none" else 0.4
    both = long_range_model(architecture, "coulomb+dispersion", balance=balance, s8=0.7, total_charge=total)
    q, c6 = held(both, atoms)
    config = replace(both.config, long_range=replace(both.config.long_range, kind=kind))
    config = replace(config, output=replace(config.output, unit=unit))
    model = atomlens.Potential(config).cast(torch.float64)
    model.load_state_dict({k: v for k, v in both.state_dict().items() if k in model.state_dict()})
    plain = atomlens.Potential(replace(config, long_range=LongRangeConfig())).cast(torch.float64)
    plain.load_state_dict({k: v for k, v in both.state_dict().items() if not k.startswith("long_range")})
    expected = 0.0
    for i in range(len(atoms)):
        for j in range(i + 1, len(atoms)):
            energies = pair_energy(config.long_range, q, c6, i, j, atoms.get_distance(i, j))
            expected += sum(energies[part] for part in config.long_range.parts)
    with torch.no_grad():
        found = float(model(model.graph(atoms)) - plain(plain.graph(atoms)))
    assert found * ENERGY_UNITS[unit] == pytest.approx(expected, rel=1e-7, abs=1e-9)
    assert atomlens.explain(model, atoms).prediction == pytest.approx(model.predict(atoms).energy, rel=1e-10)


@settings(max_examples=40)
@given(
    atoms=molecules(),
    balance=st.sampled_from(["mean", "neighbors"]),
    total=st.sampled_from([0.0, -1.0, 2.5]),
    architecture=st.sampled_from(ARCHITECTURES),
)
def test_charges_add_up_to_the_total(atoms, balance, total, architecture):
    model = long_range_model(architecture, "coulomb", balance=balance, total_charge=total)
    assert model.long_range is not None
    graph = collate([model.graph(atoms), model.graph(branched())])
    charges = model.long_range.charges(model.representation(graph), graph, model.representation.cutoff)
    sums = torch.zeros(2, dtype=torch.float64).index_add(0, graph.batch, charges)
    torch.testing.assert_close(sums, torch.full((2,), total, dtype=torch.float64), rtol=0, atol=1e-12)
    if len(set(atoms.numbers)) > 1 and balance == "mean":
        assert (charges[: len(atoms)] - total / len(atoms)).abs().max() > 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_without_balance_an_ion_keeps_its_charge_wherever_others_are(architecture):
    model = long_range_model(architecture, "coulomb", balance="none")
    assert model.long_range is not None
    water = ase.build.molecule("H2O")

    def charges(atoms: ase.Atoms) -> torch.Tensor:
        assert model.long_range is not None
        graph = model.graph(atoms)
        return model.long_range.charges(model.representation(graph), graph, model.representation.cutoff)

    alone, other = charges(water), charges(branched())
    far = branched()
    far.positions += 50.0
    torch.testing.assert_close(charges(water + far), torch.cat([alone, other]), rtol=0, atol=1e-12)
    assert abs(float(alone.sum())) > 1e-6


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_all_pairs_are_those_of_one_structure(sizes):
    batch = [g for g, size in enumerate(sizes) for _ in range(size)]
    expected = [[i, j] for i in range(len(batch)) for j in range(i + 1, len(batch)) if batch[i] == batch[j]]
    assert all_pairs(torch.tensor(batch, dtype=torch.int64)).tolist() == expected


@pytest.mark.parametrize("balance", BALANCES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_structures_side_by_side_know_nothing_of_each_other(architecture, kind, balance):
    model = long_range_model(architecture, kind, balance=balance)
    structures = [branched(), ase.Atoms("H"), ase.build.molecule("H2O"), branched()]
    graph = collate([model.graph(atoms) for atoms in structures])
    energies, forces = model.energy_and_forces(graph)
    single = [model.predict(atoms) for atoms in structures]
    np.testing.assert_allclose(energies.numpy(), [p.energy for p in single], rtol=0, atol=1e-12)
    np.testing.assert_allclose(forces.numpy(), np.concatenate([p.forces for p in single]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("balance", BALANCES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_forces_are_the_derivative_and_can_be_learned(architecture, balance):
    model = long_range_model(architecture, "coulomb+dispersion", balance=balance, s8=0.5).requires_grad_(False)
    graph = collate([model.graph(branched()), model.graph(ase.build.molecule("H2O"))])

    def energy(positions: torch.Tensor) -> torch.Tensor:
        return model(replace(graph, positions=positions))

    positions = graph.positions.clone().requires_grad_()
    assert torch.autograd.gradcheck(energy, positions)
    assert torch.autograd.gradgradcheck(energy, positions, atol=1e-4)
    (gradient,) = torch.autograd.grad(energy(positions).sum(), positions)
    for create_graph in (False, True):  # whichever way forces are computed, they are those of the whole energy
        energies, forces = model.energy_and_forces(graph, create_graph=create_graph)
        torch.testing.assert_close(energies.detach(), energy(graph.positions), rtol=0, atol=1e-12)
        torch.testing.assert_close(forces.detach(), -gradient, rtol=0, atol=1e-11)
    model.requires_grad_(True)
    assert model.long_range is not None
    _, forces = model.energy_and_forces(graph, create_graph=True)
    forces.square().sum().backward()
    for name, parameter in model.long_range.named_parameters():
        if not name.endswith("layers.1.bias"):  # a shift of all charges is taken off again
            assert parameter.grad is not None
            assert parameter.grad.abs().max() > 0, name


@settings(max_examples=25)
@given(atoms=molecules(), seed=st.integers(0, 99), architecture=st.sampled_from(ARCHITECTURES))
def test_energies_do_not_turn_shift_or_depend_on_the_order_of_atoms(atoms, seed, architecture):
    model = long_range_model(architecture, "coulomb+dispersion", balance=BALANCES[seed % 3])
    rng = np.random.default_rng(seed)
    moved, order = atoms.copy(), rng.permutation(len(atoms))
    moved.rotate(float(rng.uniform(0, 360)), rng.normal(size=3))
    moved.positions += rng.normal(size=3)
    moved = moved[order]
    before, after = model.predict(atoms), model.predict(moved)
    assert after.energy == pytest.approx(before.energy, abs=1e-9)
    assert before.forces is not None
    assert after.forces is not None
    np.testing.assert_allclose(
        np.linalg.norm(after.forces, axis=1), np.linalg.norm(before.forces, axis=1)[order], atol=1e-8
    )


@pytest.mark.parametrize(("kind", "exponent"), [("coulomb", -1), ("dispersion", -6)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_energies_of_a_pair_fall_by_their_law(architecture, kind, exponent):
    model = long_range_model(architecture, kind, balance="mean")
    distances = (100.0, 200.0)
    v = [float(atomlens.explain(model, pair_at("OF", r)).long_range_terms(kind).relevance[0]) for r in distances]
    assert v[0] != 0
    assert math.log(v[1] / v[0]) / math.log(2.0) == pytest.approx(exponent, abs=1e-6)


def test_near_energies_are_damped_to_something_finite():
    model = long_range_model("painn", "coulomb+dispersion", charge_length=30.0)
    q, c6 = held(model, pair_at("OF", 0.2))
    terms = atomlens.explain(model, pair_at("OF", 0.2))
    limit = COULOMB * q[0] * q[1] * 2 / (math.sqrt(math.pi) * model.config.long_range.charge_length)
    assert terms.long_range_terms("coulomb").relevance[0] == pytest.approx(limit, rel=1e-4)
    floor = -math.sqrt(c6[0] * c6[1]) / model.config.long_range.damping_radius**6
    assert terms.long_range_terms("dispersion").relevance[0] == pytest.approx(floor, rel=1e-6)


def pair_at(symbols: str, distance: float) -> ase.Atoms:
    """Two atoms."""
    return ase.Atoms(symbols, positions=[[0, 0, 0], [0, 0, distance]])


def apart(first: ase.Atoms, second: ase.Atoms, distance: float) -> ase.Atoms:
    """Two molecules, one moved along an axis."""
    moved = second.copy()
    moved.rotate(50.0, (1.0, 2.0, 0.5))  # or dipoles would stand at right angles
    moved.positions += [distance, 0.3, 0.7 * distance]
    return first + moved


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_molecules_far_apart_have_the_sum_of_their_energies(architecture):
    water, methanol = ase.build.molecule("H2O"), ase.build.molecule("CH3OH")

    def interaction(model: atomlens.Potential, a: ase.Atoms, b: ase.Atoms, distance: float) -> float:
        return model.predict(apart(a, b, distance)).energy - model.predict(a).energy - model.predict(b).energy

    local = long_range_model(architecture, "coulomb+dispersion", balance="neighbors")
    mean = long_range_model(architecture, "coulomb+dispersion", balance="mean")
    # Neutral molecules: dipole and dipole, r^-3.
    near, far = (interaction(local, water, methanol, r) for r in (200.0, 400.0))
    assert abs(interaction(local, water, methanol, 50.0)) < 1e-3
    assert near != 0
    assert math.log(far / near) / math.log(2.0) == pytest.approx(-3.0, abs=0.15)
    # Equal molecules are neutral each under `mean` too; of unlike ones some charge leaks across, at any distance.
    assert abs(interaction(mean, water, water, 50.0)) < 1e-3
    leak = [interaction(mean, water, methanol, r) for r in (1e4, 1e6)]
    assert abs(leak[0]) > 1e-3
    assert leak[1] == pytest.approx(leak[0], rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_files_keep_long_range_models(tmp_path, kind):
    model = long_range_model("painn", kind, balance="neighbors", s8=0.3, a1=0.5)
    atomlens.save_model(model, tmp_path / "model.safetensors")
    back = atomlens.load_model(tmp_path / "model.safetensors", dtype=None)
    assert replace(back.config, card={}) == replace(model.config, card={})
    assert back.predict(branched()).energy == model.predict(branched()).energy


def test_headers_without_the_options_are_models_without_them():
    old = small_model().config.to_dict()
    del old["long_range"], old["representation"]["radial"]["length"], old["representation"]["cutoff"]["onset"]
    assert ModelConfig.from_dict(old) == small_model().config


@pytest.mark.parametrize("kind", KINDS)
def test_periodic_cells_are_refused_in_one_line(kind):
    model = long_range_model("painn", kind)
    boxed = branched()
    boxed.cell = [20.0, 20.0, 20.0]
    assert model.predict(boxed).energy == pytest.approx(model.predict(branched()).energy)
    for atoms in (crowded_cell(), ase.Atoms("H", cell=[30, 30, 30], pbc=[True, False, False])):
        for ask in (model.predict, lambda atoms: atomlens.explain(model, atoms)):
            with pytest.raises(InputError, match="need an open structure") as failure:
                ask(atoms)
            assert "\n" not in str(failure.value)
    pytest.importorskip("torch_sim")
    import torch_sim

    from atomlens.dynamics.torchsim import TorchSimModel

    simulated = TorchSimModel(model)
    state = torch_sim.io.atoms_to_state([crowded_cell()], device=torch.device("cpu"), dtype=torch.float64)
    with pytest.raises(InputError, match="need an open structure"):
        simulated(state)


@pytest.mark.parametrize(
    ("settings_of", "message"),
    [
        ({"kind": "coulom"}, r"'coulom'; did you mean 'coulomb'\?"),
        ({"kind": "dispersion+coulomb"}, "choices: none, coulomb, dispersion, coulomb.dispersion"),
        ({"balance": "means"}, r"did you mean 'mean'\?"),
        ({"width": 0}, "width = 0; it must be positive"),
        ({"charge_length": math.nan}, "charge_length' is nan"),
        ({"s8": -1.0}, "s8 = -1.0; it must be zero or positive"),
        ({"total_charge": math.inf}, "total_charge' is inf"),
        ({"balance": "none", "total_charge": 1.0}, "balance 'none' keeps no total_charge; received 1.0"),
    ],
)
def test_wrong_options_are_named(settings_of: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_dict({"long_range": settings_of})


def test_only_energies_have_long_range_parts():
    coulomb = LongRangeConfig("coulomb")
    with pytest.raises(ValueError, match="sums over atoms"):
        ModelConfig(readout=ReadoutConfig(aggregation="avg"), long_range=coulomb)
    with pytest.raises(ValueError, match="needs an energy; the output mu is in D"):
        ModelConfig(output=OutputConfig("mu", "D"), long_range=coulomb)


def test_what_schnetpack_has_not_is_not_written_for_it(tmp_path):
    with pytest.raises(InputError, match="no long-range energies of kind 'coulomb'"):
        save_schnetpack_state_dict(long_range_model("painn", "coulomb"), tmp_path / "x")
    config = small_model().config
    smooth = replace(config.representation, cutoff=CutoffConfig("polynomial", 2.5, 1.0))
    with pytest.raises(InputError, match="no cutoff function of kind 'polynomial'"):
        save_schnetpack_state_dict(atomlens.Potential(replace(config, representation=smooth)), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_what_a_model_lacks_cannot_be_asked_for():
    model, atoms = long_range_model("painn", "coulomb"), branched()
    assert model.long_range is not None
    graph = build_graph(atoms, model.cutoff)
    with pytest.raises(ValueError, match="has no dispersion coefficients"):
        model.long_range.c6(model.representation(graph))
    with pytest.raises(ValueError, match="this model has coulomb"):
        atomlens.explain(model, atoms).long_range_terms("dispersion")
    with pytest.raises(ValueError, match="this model has no long-range energies"):
        atomlens.explain(small_model(), atoms).long_range_terms("coulomb")

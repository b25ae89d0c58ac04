"""What a SchNetPack file does not say itself: unit and training data, from the ``config.yaml`` beside it.

SchNetPack's training leaves its whole configuration in the folder of the run. The model file has no unit in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers

from atomlens.models import ENERGY_UNITS
from atomlens.potentials.schnetpack.run_config import read_run_config
from atomlens.structures import InputError

# Elements of the molecules of MD17 and its revision, and of other sets, by SchNetPack's names.
_MOLECULES = {
    "aspirin": "HCO",
    "azobenzene": "HCN",
    "benzene": "HC",
    "ethanol": "HCO",
    "malonaldehyde": "HCO",
    "naphthalene": "HC",
    "paracetamol": "HCNO",
    "salicylic": "HCO",
    "salicylic_acid": "HCO",
    "toluene": "HC",
    "uracil": "HCNO",
}
_DATASETS = {"QM9": "HCNOF", "ISO17": "HCO"}

# QM9's properties that are no energies; without a configuration their unit stays unknown.
_NO_ENERGIES = re.compile(r"dipole|polarizability|spatial_extent|heat_capacity|rotational_constant|charge", re.I)

UNKNOWN_UNIT = "unit not known"


@dataclass(frozen=True)
class Provenance:
    """What is known about a model besides its file.

    Attributes
    ----------
    units
        Unit of every property by name, as the configuration spells it.
    has_config
        Whether there is a configuration at all.
    data
        Name of the training data, None where unknown.
    elements
        Atomic numbers that the training data have, None unless they are certain.
    """

    units: dict[str, str]
    data: str | None = None
    elements: tuple[int, ...] | None = None
    has_config: bool = True


def read_provenance(model_file: Path) -> Provenance:
    """Read the ``config.yaml`` beside a model file; where there is none, nothing is known.

    Raises
    ------
    InputError
        If it cannot be read, or says that the model takes distances in something else than Å.
    """
    config = read_run_config(model_file.parent / "config.yaml")
    if config is None:
        return Provenance({}, has_config=False)
    data = config.get("data")
    if not isinstance(data, dict):
        return Provenance({})
    distance = _resolve(data.get("distance_unit"), config)
    if distance is not None and str(distance) not in ("Ang", "Angs", "Angstrom", "angstrom", "A", "Å", "1", "1.0"):
        raise InputError(
            f"config.yaml beside it gives distances in {str(distance)[:50]}; atomlens feeds models Å, "
            "train the model with distance_unit: Ang"
        )
    units = _resolve(data.get("property_units"), config)
    units = units if isinstance(units, dict) else {}
    dataset = str(_resolve(data.get("_target_"), config) or "").rpartition(".")[2]
    molecule = _resolve(data.get("molecule"), config)
    named = f"{dataset} {molecule}" if isinstance(molecule, str) and dataset else dataset
    return Provenance(
        units={key: unit for key, value in units.items() if (unit := _unit(_resolve(value, config)))},
        # Own data (AtomsDataModule) are distinguished by their file alone.
        data=f"{named} ({data.get('datapath')})"[:200] if dataset == "AtomsDataModule" else named[:200] or None,
        elements=_elements(dataset, molecule),
    )


def choose_unit(output: str, kind: str, provenance: Provenance, given: str | None) -> tuple[str, str]:
    """Unit of a model's output, and where it comes from.

    Parameters
    ----------
    output
        Name of the predicted property.
    kind
        Kind of the readout, as in `ReadoutConfig`.
    provenance
        What the configuration says.
    given
        What the user says; None for nothing.

    Returns
    -------
    The unit, and "config.yaml", "given" or "unknown" (of properties that are no energies).

    Raises
    ------
    InputError
        If the user's unit is not known or contradicts the configuration, or if nobody says the unit of an energy.
    """
    told = provenance.units.get(output)
    check_energy_unit(given)
    if told is not None:
        if given is not None and ENERGY_UNITS[given] != ENERGY_UNITS.get(told):
            raise InputError(
                f"config.yaml beside it gives {output} in {told}, energy_unit says {given}; "
                "leave energy_unit out, or correct the configuration"
            )
        return told, "config.yaml"
    if kind != "atomwise" or _NO_ENERGIES.search(output):
        return UNKNOWN_UNIT, "unknown"
    if given is None:
        why = (
            f"config.yaml beside it gives no unit of {output!r}"
            if provenance.has_config
            else "no config.yaml beside it"
        )
        raise InputError(
            f"the unit of its {output} is not known ({why}); say it with --unit (energy_unit= in Python), one of "
            f"{', '.join(ENERGY_UNITS)}, or put the config.yaml of the training run beside it"
        )
    return given, "given"


def check_energy_unit(unit: str | None) -> None:
    """Raise `InputError` if `unit` is a name that no energy unit has."""
    if unit is not None and unit not in ENERGY_UNITS:
        raise InputError(f"energy_unit {unit!r} is not known; give one of {', '.join(ENERGY_UNITS)}")


def _resolve(value: Any, config: dict[Any, Any], depth: int = 5) -> Any:
    """Follow references like ``${globals.energy_unit}``; one that leads nowhere is None."""
    if isinstance(value, str) and value.strip().lower() in ("", "~", "null"):
        return None
    if not isinstance(value, str) or "${" not in value:
        return value
    reference = re.fullmatch(r"\$\{([\w.]+)\}", value)
    if reference is None or depth == 0:
        return None
    found: Any = config
    for key in reference[1].split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return _resolve(found, config, depth - 1)


def _unit(value: Any) -> str | None:
    """A unit as it is spelled here; None where none is given."""
    if not isinstance(value, str) or value.strip() == "None":
        return None
    spelled = re.sub(r"\s*/\s*", "/", value.strip())
    if re.fullmatch(r"1(\.0*)?", spelled):  # a number counts ASE's own units, of which the one of energy is eV
        return "eV"
    known = {name.lower(): name for name in ENERGY_UNITS}
    # "meV" and "MeV" are not the same; only names of more letters are matched without their case.
    return spelled if spelled in ENERGY_UNITS or len(spelled) <= 3 else known.get(spelled.lower(), spelled)


def _elements(dataset: str, molecule: Any) -> tuple[int, ...] | None:
    if dataset in ("MD17", "rMD17"):
        symbols = _MOLECULES.get(molecule) if isinstance(molecule, str) else None
    else:
        symbols = _DATASETS.get(dataset)
    return tuple(sorted(atomic_numbers[symbol] for symbol in symbols)) if symbols else None

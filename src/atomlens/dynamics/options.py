"""Settings of a simulation, checked before any step is made."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from atomlens.structures import InputError

ENSEMBLES = ("nve", "langevin", "nose-hoover")
# A hydrogen bond stretch takes 9 fs; longer steps than this do not resolve it.
LONGEST_STEP = 5.0
HIGHEST_TEMPERATURE = 5000.0


@dataclass(frozen=True)
class MDOptions:
    """How to simulate; every number of a run follows from it, the model and the structure.

    Attributes
    ----------
    ensemble
        ``langevin`` (NVT, BAOAB), ``nose-hoover`` (NVT, a chain for every replica) or ``nve``.
    temperature
        In K: of the thermostat, and of the velocities at the start.
    timestep
        In fs.
    n_steps
        Number of steps.
    n_replicas
        Copies of the structure, with velocities of their own.
    interval
        Steps between recorded and checked frames.
    friction
        Of Langevin dynamics, 1/ps.
    seed
        Of velocities and noise.
    frames_after_break
        How many frames a broken replica goes on, so that the break can be told and seen.
    """

    ensemble: str = "langevin"
    temperature: float = 500.0
    timestep: float = 0.5
    n_steps: int = 20_000
    n_replicas: int = 16
    interval: int = 20
    friction: float = 10.0
    seed: int = 0
    frames_after_break: int = 20

    def __post_init__(self) -> None:
        if self.ensemble not in ENSEMBLES:
            raise InputError(f"ensemble {self.ensemble!r} is not known; choose {', '.join(ENSEMBLES)}")
        if not 0 < self.temperature <= HIGHEST_TEMPERATURE:
            raise InputError(f"temperature {self.temperature:g} K: give one above 0 up to {HIGHEST_TEMPERATURE:g} K")
        if not 0 < self.timestep <= LONGEST_STEP:
            raise InputError(f"time step {self.timestep:g} fs: give one above 0 up to {LONGEST_STEP:g} fs")
        if not (math.isfinite(self.friction) and self.friction > 0):
            raise InputError(f"friction {self.friction:g} 1/ps: give a number above 0")
        for name in ("n_steps", "n_replicas", "interval"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: give a number from 1")
        if self.interval > self.n_steps:
            raise InputError(f"a frame every {self.interval} steps of only {self.n_steps}: nothing would be recorded")

    @classmethod
    def lasting(cls, time: float, *, timestep: float, **settings: Any) -> Self:
        """Settings of a simulation of `time` ps; a time step that cannot be is left to the check of all settings."""
        steps = max(1, round(1000 * time / timestep)) if timestep > 0 else 1
        return cls(timestep=timestep, n_steps=steps, **settings)

    @property
    def n_frames(self) -> int:
        """Frames that a replica that never breaks records, the start not counted."""
        return self.n_steps // self.interval

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON allows them."""
        return asdict(self)

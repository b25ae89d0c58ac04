"""Settings of a simulation, checked before any step is made."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from atomlens.structures import InputError

ENSEMBLES = ("nve", "langevin", "nose-hoover")
# A hydrogen bond stretch takes 9 fs; longer steps than this do not resolve it.
SHORTEST_STEP, LONGEST_STEP = 1e-3, 5.0
_MOST_STEPS, _MOST_REPLICAS = 10**10, 100_000
HIGHEST_TEMPERATURE = 5000.0
# Steps that a time in ps may be off by, for numbers that are not exact in binary.
_ROUNDING = 1e-6


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
        Number of steps, a multiple of `interval`: what comes after the last frame would be seen by nobody.
    n_replicas
        Copies of the structure, with velocities of their own.
    interval
        Steps between recorded and checked frames.
    friction
        Of Langevin dynamics, 1/ps.
    seed
        Of velocities and noise.
    frames_after_break
        For how many frames a broken replica continues, so that the break can be identified and seen.
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
        if not SHORTEST_STEP <= self.timestep <= LONGEST_STEP:
            raise InputError(
                f"time step {self.timestep:g} fs: give one above 0, from {SHORTEST_STEP:g} up to {LONGEST_STEP:g} fs"
            )
        if not (math.isfinite(self.friction) and self.friction > 0):
            raise InputError(f"friction {self.friction:g} 1/ps: give a number above 0")
        for name in ("n_steps", "n_replicas", "interval"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: give a number from 1")
        if self.n_steps > _MOST_STEPS or self.n_replicas > _MOST_REPLICAS:
            raise InputError(
                f"{self.n_replicas} replicas of {self.n_steps} steps: up to {_MOST_REPLICAS} of {_MOST_STEPS} can run"
            )
        if self.interval > self.n_steps:
            raise InputError(f"a frame every {self.interval} steps of only {self.n_steps}: nothing would be recorded")
        if rest := self.n_steps % self.interval:
            raise InputError(
                f"n_steps {self.n_steps} with a frame every {self.interval} steps: the last {rest} would not be "
                f"recorded; give a multiple, such as {self.n_steps - rest + self.interval}"
            )

    @classmethod
    def lasting(cls, time: float, *, timestep: float, **settings: Any) -> Self:
        """Settings of a simulation of `time` ps, and on to the next frame where it ends between two.

        A time step or an interval that cannot be is left to the check of all settings.
        """
        sensible = timestep >= SHORTEST_STEP and 0 < time < _MOST_STEPS
        steps = max(1, math.ceil(1000 * time / timestep - _ROUNDING)) if sensible else 1
        interval = int(settings.get("interval", cls.interval))
        if 1 <= interval <= steps:
            steps = interval * math.ceil(steps / interval)
        return cls(timestep=timestep, n_steps=steps, **settings)

    @property
    def n_frames(self) -> int:
        """Frames that a replica that never breaks records, the start not counted."""
        return self.n_steps // self.interval

    @property
    def time(self) -> float:
        """Simulated time in ps of a replica that never breaks."""
        return 1e-3 * self.n_steps * self.timestep

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON allows them."""
        return asdict(self)

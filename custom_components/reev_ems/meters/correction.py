"""What sets the values of a meter right that is mounted, wired or set up wrongly."""

from dataclasses import dataclass
import math

from ..energy_management.model import PHASES, PartPerPhase, PerPhase, Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Applied to what the meter tells; its own phases are called L1 to L3 like those of the grid."""

    invert: bool = False
    """Import and export are swapped."""
    inverted_phases: frozenset[Phase] = frozenset()
    """The meter's own phases that are turned beside."""
    phase_order: tuple[Phase, Phase, Phase] = PHASES
    """The grid phase that each of the meter's own phases is wired to."""
    ratio: float = 1.0
    """What its currents, powers and energies are multiplied by."""

    def __post_init__(self) -> None:
        """Raise ValueError if it cannot be applied."""
        if set(self.phase_order) != set(PHASES):
            raise ValueError(
                f"phase order {self.phase_order} does not name each phase once"
            )
        if not 0 < self.ratio < math.inf:
            raise ValueError(f"{self.ratio} is no ratio")

    @property
    def total_factor(self) -> float | None:
        """What a total is multiplied by; None where only its parts can be set right."""
        if self.inverted_phases:
            return None
        return -self.ratio if self.invert else self.ratio

    @property
    def factors(self) -> PerPhase:
        """What the currents and powers of the meter's own phases are multiplied by."""
        one, two, three = (
            self.ratio * (-1 if self.invert != (phase in self.inverted_phases) else 1)
            for phase in PHASES
        )
        return one, two, three

    def apply(self, values: PartPerPhase) -> PartPerPhase:
        """Return currents or powers of the meter's own phases with the right sign and size."""
        one, two, three = (
            None if value is None else factor * value
            for factor, value in zip(self.factors, values, strict=True)
        )
        return one, two, three

    def ordered(self, values: PartPerPhase) -> PartPerPhase:
        """Return values of the meter's own phases as those of the grid."""
        one, two, three = (values[self.phase_order.index(phase)] for phase in PHASES)
        return one, two, three

    def then(self, further: Correction) -> Correction:
        """Return both in one; the phases of the further one are those that this one gives."""
        turned = self.inverted_phases ^ {
            PHASES[self.phase_order.index(phase)] for phase in further.inverted_phases
        }
        every = turned == set(PHASES)
        first, second, third = (
            further.phase_order[PHASES.index(phase)] for phase in self.phase_order
        )
        return Correction(
            invert=self.invert ^ further.invert ^ every,
            inverted_phases=frozenset() if every else turned,
            phase_order=(first, second, third),
            ratio=self.ratio * further.ratio,
        )


NO_CORRECTION = Correction()

"""Finds out which meter answers at an address.

Identification registers come first, then SunSpec, then every map whose values are physically plausible.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass

from .errors import MeterError, Trouble
from .gateway import ModbusGateways
from .profile import MeterProfile, Status
from .reader import MeterProbe, probe_meter

DETECTION_TIMEOUT_S = 30.0
ATTEMPT_TIMEOUT_S = 1.5
"""For one profile; a device may keep silent about registers that it does not have."""
ATTEMPTS_IN_SILENCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionStep:
    """How far the detection is."""

    fraction: float
    """From 0 to 1."""
    unit_id: int
    trying: str
    """Name of the profile that is tried now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedMeter:
    """A profile that fits the device behind a unit id."""

    unit_id: int
    probe: MeterProbe
    identified: bool
    """Whether the device named itself as one of this profile; if not, its values are merely plausible."""


async def detect_meters(
    gateways: ModbusGateways,
    profiles: Iterable[MeterProfile],
    *,
    host: str,
    port: int = 502,
    unit_ids: Sequence[int] | None = None,
    timeout_s: float = DETECTION_TIMEOUT_S,
) -> AsyncGenerator[DetectionStep | DetectedMeter]:
    """Yield the steps of the search as they begin, then the meters of the first unit id that has any, the best first.

    Without `unit_ids` those of the profiles are tried, the most common first. A search that runs out of time ends with
    what was found until then. Raises MeterError if nothing can be reached at the address.
    """
    candidates = sorted((item for item in profiles if not item.candidates), key=_rank)
    units = list(unit_ids) if unit_ids is not None else common_unit_ids(candidates)
    loop = asyncio.get_running_loop()
    end_s = loop.time() + timeout_s
    # Holds the connection over all attempts, since some devices are slow to accept the next one.
    lease = gateways.unit(host, port, units[0] if units else 1)
    try:
        await lease.open(at_once=True)
        for unit_index, unit_id in enumerate(units):
            found: list[DetectedMeter] = []
            silent = True
            for index, profile in enumerate(candidates):
                left_s = end_s - loop.time()
                if left_s <= 0:
                    break
                done = (unit_index + index / len(candidates)) / len(units)
                yield DetectionStep(fraction=done, unit_id=unit_id, trying=profile.name)
                try:
                    probe = await probe_meter(
                        gateways,
                        profile,
                        host=host,
                        port=port,
                        unit_id=unit_id,
                        timeout_s=min(ATTEMPT_TIMEOUT_S, left_s),
                    )
                except MeterError as err:
                    if err.key is Trouble.CANNOT_CONNECT:
                        raise
                    silent = silent and err.key is Trouble.NO_ANSWER
                    # Nobody is behind this unit id; only the likeliest one is asked again, for something else.
                    if silent and (unit_index > 0 or index + 1 >= ATTEMPTS_IN_SILENCE):
                        break
                    continue
                silent = False
                found.append(
                    DetectedMeter(
                        unit_id=unit_id,
                        probe=probe,
                        identified=_names_matched(probe) > 0,
                    )
                )
            if found:
                for meter in sorted(found, key=_fit, reverse=True):
                    yield meter
                return
    finally:
        await lease.release()


def common_unit_ids(profiles: Iterable[MeterProfile]) -> list[int]:
    """Return the unit ids of the profiles, those that more of them use first."""
    counts: dict[int, int] = {}
    for profile in profiles:
        for unit_id in profile.unit_ids:
            counts[unit_id] = counts.get(unit_id, 0) + 1
    return sorted(counts, key=lambda unit_id: (-counts[unit_id], unit_id))


def _rank(profile: MeterProfile) -> tuple[int, str]:
    """Order profiles by how surely they can tell a device."""
    if any(
        field.expect and not field.hint for field in profile.identification.values()
    ):
        return (0, profile.id)
    if profile.identification:
        return (1, profile.id)
    return (2 if profile.sunspec_models else 3, profile.id)


def _names_matched(probe: MeterProbe) -> int:
    """Return how many names or numbers the device gave that only this profile's devices give."""
    if probe.remarks:
        return 0
    return sum(
        bool(field.expect) and name in probe.identification
        for name, field in probe.profile.identification.items()
    )


def _fit(meter: DetectedMeter) -> tuple[int, bool, int, bool]:
    """Return how well a profile fits: the greater, the better."""
    probe = meter.probe
    told = len(probe.identification)
    return (
        _names_matched(probe),
        not probe.remarks,
        # Registers for its identity that the device lacks speak against a profile.
        2 * told - len(probe.profile.identification),
        probe.profile.status is not Status.UNVERIFIED,
    )

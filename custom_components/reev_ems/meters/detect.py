"""Finds out which meter answers at an address.

Identification registers come first, then SunSpec, then every map whose values are physically plausible.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass

from modbus_connection import (
    GatewayPathUnavailableError,
    GatewayTargetError,
    ModbusError,
    ModbusExceptionError,
)

from .errors import MeterError, Trouble
from .gateway import MeterUnit, ModbusGateways
from .profile import MeterProfile, Status
from .reader import MeterProbe, probe_meter

DETECTION_TIMEOUT_S = 28.0
"""Leaves the forms around it the time that makes it 30 s for the person who waits."""
ATTEMPT_TIMEOUT_S = 1.5
"""For one profile; a device may keep silent about registers that it does not have."""
ATTEMPTS_IN_SILENCE = 3
KNOCK_TIMEOUT_S = 0.4
"""For a unit id that nothing speaks for; a gateway that says so itself may take longer and is given the time."""
UNIT_IDS = range(1, 248)
"""All that a device behind a gateway can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionStep:
    """How far the detection is."""

    fraction: float
    """From 0 to 1."""
    unit_id: int
    trying: str
    """Name of the profile that is tried now; empty while it is only asked whether anybody is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedMeter:
    """A profile that fits the device behind a unit id."""

    unit_id: int
    probe: MeterProbe
    names: int
    """How many names or numbers the device gave that are this profile's; 0: its values are merely plausible."""


async def detect_meters(
    gateways: ModbusGateways,
    profiles: Iterable[MeterProfile],
    *,
    host: str,
    port: int = 502,
    unit_ids: Sequence[int] = (),
    timeout_s: float = DETECTION_TIMEOUT_S,
) -> AsyncGenerator[DetectionStep | DetectedMeter]:
    """Yield the steps of the search as they begin, then the meters of the first unit id that has any, the best first.

    The given unit ids are tried first, then those of the profiles, the most common first, then all others as far as the
    time allows. A search that runs out of time ends with what was found until then. Raises MeterError if nothing can
    be reached at the address, or if under no unit id anybody answers.
    """
    candidates = sorted((item for item in profiles if not item.candidates), key=_rank)
    likely = list(dict.fromkeys([*unit_ids, *common_unit_ids(candidates)]))
    others = [unit_id for unit_id in UNIT_IDS if unit_id not in likely]
    end_s = asyncio.get_running_loop().time() + timeout_s
    # Holds the connection over all attempts, since some devices are slow to accept the next one.
    lease = gateways.unit(host, port, likely[0])
    search = _Search(gateways, candidates, lease, end_s)
    try:
        await lease.open(at_once=True)
        for index, unit_id in enumerate([*likely, *others]):
            if search.left_s <= 0:
                break
            if index < len(likely):
                begin, span = index / len(likely) / 2, 0.5 / len(likely)
            else:
                # What answered under several unit ids does not look at them: no other will do any better.
                if search.answering > 1:
                    break
                begin = 0.5 + (index - len(likely)) / len(others) / 2
                span = 0.5 / len(others)
                yield DetectionStep(fraction=begin, unit_id=unit_id, trying="")
                if not await search.knock(unit_id):
                    continue
            async for share, name in search.tries(unit_id, patient=index == 0):
                yield DetectionStep(
                    fraction=begin + share * span, unit_id=unit_id, trying=name
                )
            if search.found:
                for meter in sorted(search.found, key=_fit, reverse=True):
                    yield meter
                return
        if search.answering == 0:
            raise MeterError(
                Trouble.NO_ANSWER,
                f"Nobody answers at {host}:{port}, under whichever unit id.",
                f"{host}:{port}",
            )
    finally:
        await lease.release()


class _Search:
    """What was learnt of an address so far."""

    def __init__(
        self,
        gateways: ModbusGateways,
        candidates: Sequence[MeterProfile],
        lease: MeterUnit,
        end_s: float,
    ) -> None:
        self.found: list[DetectedMeter] = []
        self.answering = 0
        """Unit ids under which a device answers that is none of the candidates."""
        self._gateways = gateways
        self._candidates = candidates
        self._lease = lease
        self._end_s = end_s
        self._knock_s = KNOCK_TIMEOUT_S

    @property
    def left_s(self) -> float:
        return self._end_s - asyncio.get_running_loop().time()

    async def tries(
        self, unit_id: int, *, patient: bool
    ) -> AsyncGenerator[tuple[float, str]]:
        """Try all candidates on a unit id; yield how far that is and the name of each as it begins.

        Raises MeterError if the connection is lost for good.
        """
        silent = True
        for index, profile in enumerate(self._candidates):
            if self.left_s <= 0:
                break
            yield index / len(self._candidates), profile.name
            begin_s = asyncio.get_running_loop().time()
            try:
                probe = await probe_meter(
                    self._gateways,
                    profile,
                    host=self._lease.host,
                    port=self._lease.port,
                    unit_id=unit_id,
                    timeout_s=min(ATTEMPT_TIMEOUT_S, max(self.left_s, 0.0)),
                )
            except MeterError as err:
                if err.key is Trouble.CANNOT_CONNECT:
                    raise
                silent = silent and err.key is Trouble.NO_ANSWER
                took_s = asyncio.get_running_loop().time() - begin_s
                if silent and took_s < ATTEMPT_TIMEOUT_S:
                    self._knock_s = max(self._knock_s, 1.5 * took_s)
                # Nobody is behind this unit id; only the likeliest one is asked again, for something else.
                if silent and (not patient or index + 1 >= ATTEMPTS_IN_SILENCE):
                    break
                continue
            silent = False
            self.found.append(
                DetectedMeter(
                    unit_id=unit_id,
                    probe=probe,
                    names=_names_matched(probe),
                )
            )
        if not silent and not self.found:
            self.answering += 1

    async def knock(self, unit_id: int) -> bool:
        """Return whether anybody is behind a unit id: whatever he answers but that there is nobody."""
        unit = self._gateways.unit(self._lease.host, self._lease.port, unit_id)
        try:
            async with asyncio.timeout(min(self._knock_s, max(self.left_s, 0.0))):
                await unit.open(at_once=True)
                await unit.read_holding_registers(0, 1)
        except GatewayPathUnavailableError, GatewayTargetError:
            return False
        except ModbusExceptionError:
            return True
        except ModbusError, MeterError, TimeoutError:
            return False
        finally:
            await unit.release()
        return True


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


def _fit(meter: DetectedMeter) -> tuple[int, bool, int, bool, int]:
    """Return how well a profile fits: the greater, the better."""
    probe = meter.probe
    told = len(probe.identification)
    return (
        meter.names,
        not probe.remarks,
        # Registers for its identity that the device lacks speak against a profile.
        2 * told - len(probe.profile.identification),
        probe.profile.status is not Status.UNVERIFIED,
        len(probe.profile.quantities),
    )

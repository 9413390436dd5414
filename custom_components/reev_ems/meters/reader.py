"""One meter: who it is, and what it measures."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
import math
import time

from modbus_connection import (
    GatewayPathUnavailableError,
    GatewayTargetError,
    IllegalDataAddressError,
    IllegalDataValueError,
    IllegalFunctionError,
    ModbusConnectionError,
    ModbusError,
    ModbusExceptionError,
    ModbusTimeoutError,
)

from ..energy_management.observation import MeterReading
from .correction import NO_CORRECTION, Correction
from .errors import MeterError, Oddity, Remark, Trouble
from .gateway import MeterUnit, ModbusGateways
from .jumps import follows
from .profile import CT_PRIMARY, Identifier, MeterProfile
from .reading import make_reading
from .registers import Measurement, read_identification
from .sunspec import resolve

READ_TIMEOUT_S = 8.0
"""For all requests of a reading, the wait for neighbours behind the same gateway included."""
SILENCES_TO_GIVE_UP = 3
"""Candidates in a row that nobody answers, from the first on, after which there is nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterProbe:
    """What a meter answered when it was tried out."""

    profile: MeterProfile
    """The profile that fits: the one asked for, or that of its candidates which matched."""
    reading: MeterReading
    identification: Mapping[str, str]
    serial: str | None
    rating_a: float | None
    """Largest current per phase that it can measure, where it or its profile says so."""
    remarks: tuple[Remark, ...]


class MeterReader:
    """Reads a meter, complete or not at all."""

    def __init__(
        self,
        gateways: ModbusGateways,
        profile: MeterProfile,
        *,
        host: str,
        port: int,
        unit_id: int,
        correction: Correction = NO_CORRECTION,
        expected_serial: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lease the device; it is first spoken to by `read`.

        Raises ValueError if the profile only names others to try.
        """
        if profile.candidates:
            raise ValueError(
                f"{profile.id} is to be probed, for it has no registers of its own"
            )
        self.profile = profile
        self.identification: Mapping[str, str] = {}
        """What the device last said about itself."""
        self.remarks: tuple[Remark, ...] = ()
        self.rating_a = profile.rating_a
        """Largest current per phase that the device says it can measure, or that its model can."""
        self._unit = gateways.unit(host, port, unit_id)
        self._correction = correction
        self._expected_serial = expected_serial
        self._clock = clock
        self._found = profile
        """The profile with the registers of this very device, where it tells them itself."""
        self._measurement = Measurement(self._unit, profile)
        self._known_connection: int | None = None
        self._last: MeterReading | None = None

    @property
    def serial(self) -> str | None:
        """Serial number that the device last told."""
        return self.identification.get("serial")

    async def read(self) -> MeterReading:
        """Read the meter once.

        The device's identity is checked on the first reading, and again whenever it or its connection had failed.
        Raises MeterError.
        """
        try:
            return await self._read(at_once=False)
        except MeterError:
            self._known_connection = None
            raise

    async def probe(self) -> MeterReading:
        """Read the meter once for a person who waits: without the wait after failed attempts to connect."""
        return await self._read(at_once=True)

    async def _read(self, *, at_once: bool) -> MeterReading:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                connection = await self._unit.open(at_once=at_once)
                if connection == self._known_connection:
                    return await self._measure()
                reading = await self._read_first()
                self._known_connection = connection
                return reading
        except ModbusError as err:
            raise explain(err, self._unit) from err
        except TimeoutError as err:
            raise MeterError(
                Trouble.NO_ANSWER,
                f"No answer from {self._unit.place} in time.",
                self._unit.facts,
            ) from err

    async def _read_first(self) -> MeterReading:
        """Read a meter that may have become another one."""
        if self.profile.sunspec_models:
            self._found = await resolve(self._unit, self.profile)
            self._measurement = Measurement(self._unit, self._found)
        if self._expected_serial is not None:
            await self._identify()
            return await self._measure()
        # A silent device must not cost its neighbours the time of two requests.
        try:
            reading = await self._measure()
        except MeterError:
            # If it is another model, that explains the values.
            await self._identify()
            raise
        await self._identify()
        return reading

    async def _measure(self) -> MeterReading:
        """Return a reading; one that jumps is believed if the same device gives it again."""
        last, reading = self._last, await self._measure_plausible()
        if last is not None and not follows(last, reading):
            again = await self._measure_plausible()
            if not follows(last, again):
                if not follows(reading, again):
                    raise MeterError(
                        Trouble.IMPLAUSIBLE,
                        f"The values of {self._unit.place} jump.",
                        f"I = {_amperes(last)}; {_amperes(reading)}; {_amperes(again)} A",
                    )
                # A large load, or another meter. Only who told a serial number is asked: others may keep silent for long.
                if self._expected_serial is not None:
                    await self._identify()
            reading = again
        self._last = reading
        return reading

    async def _measure_plausible(self) -> MeterReading:
        try:
            return await self._measure_once()
        except MeterError as err:
            # A load that switched between two requests of one reading makes it contradict itself.
            if err.key is not Trouble.IMPLAUSIBLE:
                raise
        return await self._measure_once()

    async def _measure_once(self) -> MeterReading:
        values = await self._measurement.read()
        return make_reading(
            self._found, values, at_s=self._clock(), correction=self._correction
        )

    async def _identify(self) -> None:
        """Find out who is there, and whether it is who is expected."""
        found = await identify(
            self._unit, self._found, needed=self._expected_serial is not None
        )
        self.remarks = check_identity(self.profile, found)
        # Neither an empty text nor a serial number 0 tells devices apart.
        self.identification = {
            name: value if isinstance(value, str) else f"{value:.15g}"
            for name, value in found.items()
            if value not in ("", 0)
        }
        self.rating_a = rating_of(self.profile, found)
        if self._expected_serial is not None and self.serial != self._expected_serial:
            told = f"serial number {self.serial}" if self.serial else "no serial number"
            raise MeterError(
                Trouble.WRONG_IDENTITY,
                f"The device at {self._unit.place} tells {told}, but {self._expected_serial} was set up.",
                f"{self._unit.facts}: {self.serial or '–'} ≠ {self._expected_serial}",
            )

    async def close(self) -> None:
        """Give the device back; the gateway's last meter closes its connection."""
        await self._unit.release()


def _amperes(reading: MeterReading) -> str:
    return "/".join(
        "–" if value is None else f"{value:.5g}" for value in reading.current_a
    )


async def identify(
    unit: MeterUnit, profile: MeterProfile, *, needed: bool
) -> dict[str, str | float]:
    """Return what the device tells about itself; registers that it does not have are left out.

    Where the answer is `needed`, any other failure raises ModbusError; else it ends the questions, since some devices
    and gateways keep silent about registers that they do not have.
    """
    found: dict[str, str | float] = {}
    for block in profile.identification_blocks:
        try:
            found |= await read_identification(unit, block, profile.identification)
        except IllegalFunctionError, IllegalDataAddressError, IllegalDataValueError:
            continue
        except ModbusExceptionError, ModbusTimeoutError:
            if needed:
                raise
            break
    return found


def check_identity(
    profile: MeterProfile, found: Mapping[str, str | float]
) -> tuple[Remark, ...]:
    """Return what is odd about the identification. Raises MeterError if it belongs to another device."""
    remarks: list[Remark] = []
    for name, field in profile.identification.items():
        if not field.expect:
            continue
        if name not in found:
            remarks.append(
                Remark(oddity=Oddity.NAME_NOT_TOLD, placeholders={"field": name})
            )
        elif not matches(field, found[name]):
            told = str(found[name])
            if not field.hint:
                raise MeterError(
                    Trouble.NOT_THIS_METER,
                    f"The device tells the {name} {told!r}, which is not that of {profile.name}.",
                    f"{name} = {told!r}",
                )
            remarks.append(
                Remark(
                    oddity=Oddity.NAME_DIFFERS,
                    placeholders={
                        "field": name,
                        "value": told,
                        "model": profile.name,
                    },
                )
            )
    return tuple(remarks)


def rating_of(profile: MeterProfile, found: Mapping[str, str | float]) -> float | None:
    """Return the largest current per phase that a device can measure: that of its transformers, or of its model."""
    primary_a = found.get(CT_PRIMARY)
    # A float of a register that is not set may be no number.
    if isinstance(primary_a, int | float) and 0 < primary_a < math.inf:
        return float(primary_a)
    told = str(found.get("model", ""))
    fitting = [model for model in profile.ratings_a if told.startswith(model)]
    if fitting:
        return profile.ratings_a[max(fitting, key=len)]
    return profile.rating_a


def matches(field: Identifier, value: str | float) -> bool:
    """Return whether a value is among those that a field of the identification can have."""
    if isinstance(value, str):
        return any(
            isinstance(item, str) and value.startswith(item) for item in field.expect
        )
    return value in field.expect


def explain(err: ModbusError, unit: MeterUnit) -> MeterError:
    """Put a failed request into words."""
    place, facts = unit.place, unit.facts
    if isinstance(err, ModbusExceptionError):
        facts = f"{facts}: Modbus exception {err.exception_code}"
    if isinstance(err, GatewayPathUnavailableError | GatewayTargetError):
        return MeterError(
            Trouble.NO_ANSWER,
            f"The gateway answers, but the meter behind it does not ({place}).",
            facts,
        )
    if isinstance(
        err, IllegalFunctionError | IllegalDataAddressError | IllegalDataValueError
    ):
        return MeterError(
            Trouble.NOT_THIS_METER,
            f"The device at {place} does not have this meter's registers ({err}).",
            facts,
        )
    if isinstance(err, ModbusExceptionError):
        return MeterError(
            Trouble.NO_ANSWER,
            f"The device at {place} answers with Modbus exception {err.exception_code}.",
            facts,
        )
    if isinstance(err, ModbusTimeoutError):
        return MeterError(
            Trouble.NO_ANSWER,
            f"The connection stands, but no answer came from {place}.",
            facts,
        )
    if isinstance(err, ModbusConnectionError):
        return MeterError(
            Trouble.NO_ANSWER,
            f"The connection was closed before an answer came from {place}.",
            facts,
        )
    return MeterError(
        Trouble.NO_ANSWER, f"No usable answer came from {place}: {err}", facts
    )


async def probe_meter(
    gateways: ModbusGateways,
    profile: MeterProfile,
    *,
    host: str,
    port: int,
    unit_id: int,
    timeout_s: float = 10.0,
) -> MeterProbe:
    """Try a meter out: identification, one reading, and what is odd about it.

    If a profile only names candidates, the first that fits is taken. Raises MeterError within the timeout.
    """
    try:
        async with asyncio.timeout(timeout_s):
            if profile.candidates:
                return await _probe_candidates(gateways, profile, host, port, unit_id)
            return await _probe(gateways, profile, host, port, unit_id)
    except TimeoutError as err:
        raise MeterError(
            Trouble.NO_ANSWER,
            f"No answer from {host}:{port}, unit {unit_id} in {timeout_s:g} s.",
            f"{host}:{port}/{unit_id}",
        ) from err


async def _probe(
    gateways: ModbusGateways, profile: MeterProfile, host: str, port: int, unit_id: int
) -> MeterProbe:
    reader = MeterReader(gateways, profile, host=host, port=port, unit_id=unit_id)
    try:
        reading = await reader.probe()
    finally:
        await reader.close()
    return MeterProbe(
        profile=profile,
        reading=reading,
        identification=reader.identification,
        serial=reader.serial,
        rating_a=reader.rating_a,
        remarks=reader.remarks,
    )


async def _probe_candidates(
    gateways: ModbusGateways, profile: MeterProfile, host: str, port: int, unit_id: int
) -> MeterProbe:
    silences = 0
    lease = gateways.unit(
        host, port, unit_id
    )  # keeps the connection from one candidate to the next
    try:
        for candidate in profile.candidates:
            try:
                probe = await _probe(gateways, candidate, host, port, unit_id)
            except MeterError as err:
                silences = (
                    silences + 1
                    if err.key is Trouble.NO_ANSWER
                    else -len(profile.candidates)
                )
                if err.key is Trouble.CANNOT_CONNECT or silences == min(
                    SILENCES_TO_GIVE_UP, len(profile.candidates)
                ):
                    raise
            else:
                guess = Remark(
                    oddity=Oddity.MAP_GUESSED,
                    placeholders={"model": profile.name, "found": candidate.name},
                )
                return replace(probe, remarks=(guess, *probe.remarks))
    finally:
        await lease.release()
    tried = "; ".join(candidate.name for candidate in profile.candidates)
    raise MeterError(
        Trouble.NOT_THIS_METER,
        f"A device answers, but none of the maps tried for the {profile.name} gives plausible values: {tried}.",
        tried,
    )

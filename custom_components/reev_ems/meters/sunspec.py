"""SunSpec meters: their registers are found by walking the chain of models that the device announces.

Offsets are counted from the model's first register, after sunspec/models, model_201 to 204 (whole numbers with powers
of ten) and 211 to 214 (floating point). Fixed addresses would not do: they differ even between firmwares of a device.
"""

from dataclasses import replace

from modbus_connection import (
    IllegalDataAddressError,
    IllegalDataValueError,
    IllegalFunctionError,
    ModbusUnit,
    ServerDeviceFailureError,
)
from modbus_connection.model.sunspec import SunSpecError, SunSpecModel, scan

from .errors import MeterError, Trouble
from .profile import (
    PHASE_CURRENTS,
    PHASE_POWERS,
    PHASE_VOLTAGES,
    Block,
    Combine,
    Identifier,
    MeterProfile,
    Quantity,
)
from .registers import read_identification

BASES = (40000, 50000, 0)
"""Addresses at which the specification lets a chain begin."""
EXPORT_POSITIVE = "SolarEdge"
"""It counts power as positive for export, of whatever meter behind it; energies are as everybody's (evcc)."""
COMMON_MODEL = 1
COMMON_LENGTHS = (65, 66)
"""The second is padded; the serial number is the last text but the address."""
MAX_BLOCK = 125

_PHASES = {201: 1, 202: 2, 203: 3, 204: 3, 211: 1, 212: 2, 213: 3, 214: 3}
_NOT_THERE = 0x8000
_MIN_LENGTH = {False: 105, True: 124}


async def resolve(unit: ModbusUnit, profile: MeterProfile) -> MeterProfile:
    """Return the profile with the registers at which this device has its first wanted model.

    Raises MeterError if it has none, ModbusError if it does not answer.
    """
    for base in BASES:
        try:
            models = await scan(unit, base)
        except (
            SunSpecError,
            IllegalFunctionError,
            IllegalDataAddressError,
            IllegalDataValueError,
            # What some servers answer for an address that they do not have.
            ServerDeviceFailureError,
        ):
            continue
        meter = models.first(*profile.sunspec_models)
        if meter is None or meter.length < _MIN_LENGTH[meter.model_id > 210]:
            continue
        commons = [
            model
            for model in models.get(COMMON_MODEL, [])
            if model.address < meter.address
        ]
        located = _located(profile, meter, commons[-1] if commons else None)
        for common in commons:
            if (await _manufacturer(unit, common)).startswith(EXPORT_POSITIVE):
                return _powers_turned(located)
        return located
    raise MeterError(
        Trouble.NOT_THIS_METER, "The device announces no SunSpec meter.", "SunSpec"
    )


async def _manufacturer(unit: ModbusUnit, common: SunSpecModel) -> str:
    """Return whom a common model names. Raises ModbusError."""
    field = _text(common.address + 2, 16)
    block = Block(space="holding", start=field.address, count=field.count)
    told = await read_identification(unit, block, {"manufacturer": field})
    return str(told.get("manufacturer", ""))


def _powers_turned(profile: MeterProfile) -> MeterProfile:
    """Return the profile of a device whose powers are positive for export."""
    return replace(
        profile,
        quantities={
            name: replace(quantity, scale=-quantity.scale)
            if name in (*PHASE_POWERS, "power_total")
            else quantity
            for name, quantity in profile.quantities.items()
        },
    )


def _text(address: int, count: int) -> Identifier:
    return Identifier(
        space="holding",
        address=address,
        count=count,
        type="string",
        word_order="big",
    )


def _located(
    profile: MeterProfile, meter: SunSpecModel, common: SunSpecModel | None
) -> MeterProfile:
    floating = meter.model_id > 210
    missing_phases = range(_PHASES[meter.model_id] + 1, 4)
    quantities = {
        name: quantity
        for name, quantity in (_floats(meter) if floating else _integers(meter)).items()
        if not name.endswith(tuple(f"_l{phase}" for phase in missing_phases))
    }
    profile = replace(
        profile,
        # The two registers of the header make the floating point models too long for one request.
        blocks=(
            Block(
                space="holding",
                start=meter.address + 2,
                count=min(meter.length, MAX_BLOCK),
            ),
        ),
        quantities=quantities,
    )
    if common is None or not COMMON_LENGTHS[0] <= common.length <= COMMON_LENGTHS[1]:
        return profile
    return replace(
        profile,
        identification_blocks=(
            Block(space="holding", start=common.address + 2, count=common.length),
        ),
        identification={
            name: _text(common.address + offset, count)
            for name, offset, count in (
                ("manufacturer", 2, 16),
                ("model", 18, 16),
                ("firmware", 42, 8),
                ("serial", 50, 16),
            )
        },
    )


def _integers(meter: SunSpecModel) -> dict[str, Quantity]:
    def value(
        offset: int,
        scale_offset: int,
        *,
        sign_from: str | None = None,
        optional: bool = True,
    ) -> Quantity:
        return Quantity(
            combine=Combine.ONE,
            addresses=(meter.address + offset,),
            space="holding",
            type="int16",
            word_order="big",
            scale_register=meter.address + scale_offset,
            absent=frozenset((_NOT_THERE,)),
            sign_from=sign_from,
            optional=optional,
        )

    def energy(offset: int) -> Quantity:
        # An accumulator that is not there is 0.
        return replace(value(offset, 54), type="uint32", absent=frozenset((0,)))

    return {
        **{
            name: value(3 + index, 6, sign_from=PHASE_POWERS[index], optional=False)
            for index, name in enumerate(PHASE_CURRENTS)
        },
        **{name: value(8 + index, 15) for index, name in enumerate(PHASE_VOLTAGES)},
        "frequency": value(16, 17),
        "power_total": value(18, 22, optional=False),
        **{name: value(19 + index, 22) for index, name in enumerate(PHASE_POWERS)},
        "energy_export": energy(38),
        "energy_import": energy(46),
    }


def _floats(meter: SunSpecModel) -> dict[str, Quantity]:
    def value(
        offset: int, *, sign_from: str | None = None, optional: bool = True
    ) -> Quantity:
        return Quantity(
            combine=Combine.ONE,
            addresses=(meter.address + offset,),
            space="holding",
            type="float32",
            word_order="big",
            sign_from=sign_from,
            optional=optional,
        )

    return {
        **{
            name: value(4 + 2 * index, sign_from=PHASE_POWERS[index], optional=False)
            for index, name in enumerate(PHASE_CURRENTS)
        },
        **{name: value(12 + 2 * index) for index, name in enumerate(PHASE_VOLTAGES)},
        "frequency": value(26),
        "power_total": value(28, optional=False),
        **{name: value(30 + 2 * index) for index, name in enumerate(PHASE_POWERS)},
        "energy_export": value(60),
        "energy_import": value(68),
    }

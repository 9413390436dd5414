"""The register maps of energy meters, as their makers document them.

Written from the research notes on each meter, not from the integration's profiles.
"""

from dataclasses import replace

from .registers import Layout, Register

_WH_OF_KWH = 1000.0


def _phases(
    address: int, step: int, quantity: str, kind: str, scale: float = 1.0
) -> tuple[Register, ...]:
    """Return the registers of L1, L2, L3."""
    return tuple(
        Register(
            address=address + index * step,
            type=kind,
            quantity=f"{quantity}_l{index + 1}",
            scale=scale,
        )
        for index in range(3)
    )


def _one(address: int, quantity: str, kind: str, scale: float = 1.0) -> Register:
    return Register(address=address, type=kind, quantity=quantity, scale=scale)


def _constant(address: int, value: int | str, kind: str, count: int = 0) -> Register:
    return Register(address=address, type=kind, constant=value, count=count)


def _swapped_text(address: int, text: str, count: int) -> Register:
    """Return a text of which the first letter is in the low byte of a register."""
    padded = text.ljust(2 * count, "\0")
    pairs = (padded[at : at + 2][::-1] for at in range(0, len(padded), 2))
    return _constant(address, "".join(pairs), "string", count)


def _janitza_block_19000() -> tuple[Register, ...]:
    """Return the block that all Janitza devices share."""
    return (
        *_phases(19000, 2, "voltage", "float32"),
        *_phases(19012, 2, "current", "float32"),
        *_phases(19020, 2, "power", "float32"),
        _one(19026, "power", "float32"),
        *_phases(19044, 2, "power_factor", "float32"),
        _one(19050, "frequency", "float32"),
        *_phases(19062, 2, "energy_import", "float32"),
        _one(19068, "energy_import", "float32"),
        *_phases(19070, 2, "energy_export", "float32"),
        _one(19076, "energy_export", "float32"),
    )


JANITZA_UMG604 = Layout(
    name="janitza_umg604",
    registers=(
        *_phases(1317, 2, "voltage", "float32"),
        *_phases(1325, 2, "current", "float32"),
        *_phases(1333, 2, "power", "float32"),
        _one(1369, "power", "float32"),
        _one(1439, "frequency", "float32"),
        _one(9851, "energy_import", "float32"),
        _one(9863, "energy_export", "float32"),
        _constant(10072, "UMG604-PRO", "string", 32),
        _constant(10176, 40604001, "uint32"),
        _constant(10178, 5216202, "uint32"),
        _constant(13437, "4.035", "string", 8),
        *_janitza_block_19000(),
    ),
    filled=((1317, 1440), (19000, 19121)),
    functions=(3, 4),
    refresh_s=0.2,
)

TQ_EM420 = Layout(
    name="tq_em420",
    registers=(
        _one(0, "power_import", "uint32", 0.1),
        _one(2, "power_export", "uint32", 0.1),
        _one(4, "reactive_import", "uint32", 0.1),
        _one(6, "reactive_export", "uint32", 0.1),
        _one(26, "frequency", "uint32", 0.001),
        *_phases(40, 40, "power_import", "uint32", 0.1),
        *_phases(42, 40, "power_export", "uint32", 0.1),
        *_phases(60, 40, "current", "uint32", 0.001),
        *_phases(62, 40, "voltage", "uint32", 0.001),
        *_phases(64, 40, "power_factor_magnitude", "int32", 0.001),
        _one(512, "energy_import", "uint64", 0.1),
        _one(516, "energy_export", "uint64", 0.1),
        *_phases(592, 80, "energy_import", "uint64", 0.1),
        *_phases(596, 80, "energy_export", "uint64", 0.1),
        _constant(8192, 0x5233, "uint16"),
        _constant(8193, 0x4842, "uint16"),
        _constant(8194, 1, "uint16"),
        _constant(8195, 0x0102, "uint16"),
        _constant(8196, "TQ-Systems GmbH", "string", 16),
        _constant(8212, "EM420-LLRR", "string", 16),
        _constant(8228, "72420001", "string", 16),
    ),
    filled=((0, 145),),
    any_unit=True,
    refresh_s=0.5,
)

SIEMENS_PAC2200 = Layout(
    name="siemens_pac2200",
    registers=(
        *_phases(1, 2, "voltage", "float32"),
        *(_one(address, "zero", "float32") for address in (7, 9, 11)),
        *_phases(13, 2, "current", "float32"),
        *(_one(address, "zero", "float32") for address in (19, 21, 23)),
        *_phases(25, 2, "power", "float32"),
        *(_one(address, "zero", "float32") for address in (31, 33, 35)),
        *_phases(37, 2, "power_factor_magnitude", "float32"),
        _one(55, "frequency", "float32"),
        *(_one(address, "zero", "float32") for address in (57, 59, 61)),
        _one(63, "apparent", "float32"),
        _one(65, "power", "float32"),
        _one(67, "reactive", "float32"),
        _one(69, "power_factor", "float32"),
        _one(71, "zero", "float32"),
        # All energy is counted in tariff 1; the total is tariff 1 plus tariff 2.
        _one(801, "energy_import", "float64"),
        _one(805, "zero", "float64"),
        _one(809, "energy_export", "float64"),
        _one(813, "zero", "float64"),
        _constant(64001, 42, "uint16"),
        _constant(64002, "7KM2200-2EA30-1EA1", "string", 10),
        _constant(64012, "LQN22000001", "string", 8),
        _constant(64020, 1, "uint16"),
        _constant(64021, "V3.2.0", "string", 7),
    ),
    whole_values=True,
    whole_blocks=((64001, 27),),
    functions=(3, 4),
    refresh_s=0.5,
)

JANITZA_UMG512 = Layout(
    name="janitza_umg512",
    registers=(
        *_phases(3845, 2, "voltage", "float32"),
        *_phases(3853, 2, "current", "float32"),
        *_phases(3861, 2, "power", "float32"),
        _one(3925, "power", "float32"),
        _one(3995, "frequency", "float32"),
        _one(6508, "energy_import", "float32"),
        _one(6520, "energy_export", "float32"),
        _constant(6750, "UMG512-PRO", "string", 32),
        _constant(6856, 40512001, "uint32"),
        _constant(6858, 5217011, "uint32"),
        _constant(11489, "1.100", "string", 8),
        *_janitza_block_19000(),
    ),
    filled=((19000, 19121),),
    functions=(3, 4),
    refresh_s=0.2,
)

JANITZA_UMG96 = Layout(
    name="janitza_umg96",
    registers=(
        _constant(750, 318, "int16"),
        _constant(754, 40096001, "uint32"),
        *_janitza_block_19000(),
    ),
    filled=((19000, 19121),),
    functions=(3, 4),
    refresh_s=0.2,
)


def _siemens_with_harmonics(name: str, order_number: str) -> Layout:
    """Return a larger brother of the PAC2200: the same map, and distortion where that one has a gap."""
    registers = (
        register
        if register.address != 64002
        else replace(register, constant=order_number)
        for register in SIEMENS_PAC2200.registers
    )
    distortion = (_one(address, "zero", "float32") for address in range(43, 55, 2))
    return replace(SIEMENS_PAC2200, name=name, registers=(*registers, *distortion))


SIEMENS_PAC3200 = _siemens_with_harmonics("siemens_pac3200", "7KM2112-0BA00-3AA0")
SIEMENS_PAC3220 = _siemens_with_harmonics("siemens_pac3220", "7KM3220-0BA01-1DA0")
SIEMENS_PAC4200 = _siemens_with_harmonics("siemens_pac4200", "7KM4212-0BA00-3AA0")


def _low_word_first(*registers: Register) -> tuple[Register, ...]:
    return tuple(replace(register, low_word_first=True) for register in registers)


def _carlo_gavazzi(
    name: str, model_code: int, *more: Register, most_registers: int
) -> Layout:
    """Return the map that Carlo Gavazzi's three-phase meters share; energies count in 0.1 kWh."""
    return Layout(
        name=name,
        registers=(
            *_low_word_first(
                *_phases(0, 2, "voltage", "int32", 0.1),
                *_phases(12, 2, "current", "int32", 0.001),
                *_phases(18, 2, "power", "int32", 0.1),
                _one(40, "power", "int32", 0.1),
                _one(52, "energy_import", "int32", 0.1 * _WH_OF_KWH),
                _one(78, "energy_export", "int32", 0.1 * _WH_OF_KWH),
            ),
            _one(51, "frequency", "int16", 0.1),
            *_low_word_first(*more),
            _constant(20480, "BX1234567890A", "string", 7),
        ),
        filled=((0, 79),),
        # Inside a longer read the address belongs to the voltage L3-L1.
        single_reads={11: model_code},
        most_registers=most_registers,
        functions=(3, 4),
        refresh_s=0.5,
    )


CARLO_GAVAZZI_EM24_E1 = _carlo_gavazzi(
    "carlo_gavazzi_em24_e1", 1648, most_registers=125
)
CARLO_GAVAZZI_EM340 = _carlo_gavazzi("carlo_gavazzi_em340", 341, most_registers=50)
CARLO_GAVAZZI_EM540 = _carlo_gavazzi(
    "carlo_gavazzi_em540",
    1760,
    _one(1280, "energy_import", "int64"),
    _one(1308, "energy_export", "int64"),
    most_registers=120,
)


ABB_B23 = Layout(
    name="abb_b23",
    registers=(
        _one(0x5000, "energy_import", "uint64", 0.01 * _WH_OF_KWH),
        _one(0x5004, "energy_export", "uint64", 0.01 * _WH_OF_KWH),
        *_phases(0x5B00, 2, "voltage", "uint32", 0.1),
        *_phases(0x5B0C, 2, "current", "uint32", 0.01),
        _one(0x5B14, "power", "int32", 0.01),
        *_phases(0x5B16, 2, "power", "int32", 0.01),
        _one(0x5B2C, "frequency", "uint16", 0.01),
        _constant(0x8900, 30023001, "uint32"),
        _constant(0x8908, "B2.15.0", "string", 8),
        _constant(0x8960, "B23 ", "string", 2),
    ),
    # Any block of this range answers, with all ones where nothing is.
    filled=((0x1000, 0x8EFF),),
    fill_word=0xFFFF,
    refresh_s=0.5,
)

# The values of the whole system stand before those of the phases, which the B23 does not have.
ABB_M4M = Layout(
    name="abb_m4m",
    registers=(
        _one(0x5000, "energy_import", "uint64", 0.01 * _WH_OF_KWH),
        _one(0x5004, "energy_export", "uint64", 0.01 * _WH_OF_KWH),
        *_phases(0x5B02, 2, "voltage", "uint32", 0.1),
        *_phases(0x5B10, 2, "current", "uint32", 0.01),
        _one(0x5B1A, "power", "int32", 0.01),
        *_phases(0x5B1C, 2, "power", "int32", 0.01),
        _one(0x5B32, "frequency", "uint16", 0.01),
        _constant(0x8900, 31024001, "uint32"),
        _constant(0x8908, "1.6.0", "string", 8),
        _constant(0x8960, "M4M ", "string", 2),
    ),
    filled=((0x1000, 0x8EFF),),
    fill_word=0xFFFF,
    refresh_s=0.5,
)

SHELLY_PRO_3EM = Layout(
    name="shelly_pro_3em",
    registers=(
        _swapped_text(0, "A8032A000001", 6),
        _swapped_text(6, "SPEM-003CEBEU", 10),
        *_low_word_first(
            _one(1013, "power", "float32"),
            *_phases(1020, 20, "voltage", "float32"),
            *_phases(1022, 20, "current", "float32"),
            *_phases(1024, 20, "power", "float32"),
            _one(1033, "frequency", "float32"),
            _one(1162, "energy_import", "float32"),
            _one(1164, "energy_export", "float32"),
        ),
    ),
    filled=((1000, 1079), (1160, 1169)),
    functions=(4,),
    refresh_s=1.0,
)

EASTRON_SDM630 = Layout(
    name="eastron_sdm630",
    registers=(
        *_phases(0, 2, "voltage", "float32"),
        *_phases(6, 2, "current", "float32"),
        *_phases(12, 2, "power", "float32"),
        _one(52, "power", "float32"),
        _one(70, "frequency", "float32"),
        _one(72, "energy_import", "float32", _WH_OF_KWH),
        _one(74, "energy_export", "float32", _WH_OF_KWH),
    ),
    filled=((0, 107),),
    # The manual says 60, but some devices refuse more than these.
    most_registers=18,
    functions=(4,),
    refresh_s=0.5,
)

ALGODUE_UEM = Layout(
    name="algodue_uem",
    registers=(
        _constant(0x0500, "1234567890", "string", 5),
        # 8: 80 A, three phases, four wires.
        _constant(0x0505, 8, "uint16"),
        _constant(0x0506, 1, "uint16"),
        *_phases(0x1000, 2, "voltage", "float32"),
        *_phases(0x100E, 2, "current", "float32"),
        *_phases(0x1020, 2, "power", "float32"),
        _one(0x1026, "power", "float32"),
        _one(0x1038, "frequency", "float32"),
        _one(0x1106, "energy_import", "float32"),
        _one(0x110E, "energy_export", "float32"),
    ),
    filled=((0x1000, 0x103B), (0x1100, 0x110F)),
    functions=(3, 4),
    refresh_s=0.5,
)

LOVATO_DMG610 = Layout(
    name="lovato_dmg610",
    registers=(
        *_phases(1, 2, "voltage", "uint32", 0.01),
        *_phases(7, 2, "current", "uint32", 0.0001),
        *_phases(19, 2, "power", "int32", 0.01),
        _one(57, "power", "int32", 0.01),
        _one(0x0031, "frequency", "uint32", 0.001),
        _one(0x1B1F, "energy_import", "uint64", 0.01 * _WH_OF_KWH),
        _one(0x1B23, "energy_export", "uint64", 0.01 * _WH_OF_KWH),
    ),
    filled=((1, 58),),
    functions=(4,),
    refresh_s=0.5,
)

PHOENIX_EEM_XM = Layout(
    name="phoenix_eem_xm",
    registers=_low_word_first(
        *_phases(0x8006, 2, "voltage", "float32"),
        _one(0x800C, "frequency", "float32"),
        *_phases(0x800E, 2, "current", "float32"),
        _one(0x8016, "power", "float32"),
        *_phases(0x801E, 2, "power", "float32"),
        _one(0x8100, "energy_import", "float32"),
        _one(0x8106, "energy_export", "float32"),
    ),
    filled=((0x8000, 0x8023), (0x8100, 0x8107)),
    refresh_s=0.5,
)

# What the block of 19000 alone answers: other Janitza devices, and those that copied it.
JANITZA_19000 = Layout(
    name="janitza_19000",
    registers=_janitza_block_19000(),
    filled=((19000, 19077),),
    refresh_s=0.2,
)


def _herholdt(name: str, offset: int) -> Layout:
    """Return the map of Herholdt's ECS meters: mV, mA and mW; nobody says whether it counts from 0 or from 1."""
    return Layout(
        name=name,
        registers=(
            _constant(4104 + offset, "ECSEM000000001", "string", 7),
            *_phases(4151 + offset, 2, "power", "int32", 0.001),
            _one(4157 + offset, "power", "int64", 0.001),
            *_phases(4267 + offset, 2, "voltage", "uint32", 0.001),
            *_phases(4279 + offset, 2, "current", "uint32", 0.001),
        ),
        filled=((4151 + offset, 4160 + offset), (4267 + offset, 4284 + offset)),
        refresh_s=1.0,
    )


HERHOLDT_ECS = _herholdt("herholdt_ecs", 0)
HERHOLDT_ECS_LOW = _herholdt("herholdt_ecs_low", -1)


def _sunspec(
    name: str, model: int, length: int, points: tuple[Register, ...]
) -> Layout:
    """Return a SunSpec chain from 40000: marker, common model, one meter model, end.

    The points' addresses are offsets from the meter model's header.
    """
    header = 40070
    end = header + 2 + length
    return Layout(
        name=name,
        registers=(
            _constant(40000, "SunS", "string", 2),
            _constant(40002, 1, "uint16"),
            _constant(40003, 66, "uint16"),
            _constant(40004, "Simulated", "string", 16),
            _constant(40020, f"Meter {model}", "string", 16),
            _constant(40044, "1.0", "string", 8),
            _constant(40052, "SIM-1", "string", 16),
            _constant(header, model, "uint16"),
            _constant(header + 1, length, "uint16"),
            *(replace(point, address=header + point.address) for point in points),
            _constant(end, 0xFFFF, "uint16"),
            _constant(end + 1, 0, "uint16"),
        ),
        filled=((40000, end + 1),),
        refresh_s=1.0,
    )


SUNSPEC_203 = _sunspec(
    "sunspec_203",
    203,
    105,
    (
        *_phases(3, 1, "current", "int16", 0.01),
        _constant(6, -2, "int16"),
        *_phases(8, 1, "voltage", "int16", 0.1),
        _constant(15, -1, "int16"),
        _one(16, "frequency", "int16", 0.01),
        _constant(17, -2, "int16"),
        # In steps of 10 W, or a grid connection would not fit.
        _one(18, "power", "int16", 10.0),
        *_phases(19, 1, "power", "int16", 10.0),
        _constant(22, 1, "int16"),
        _one(38, "energy_export", "uint32"),
        _one(46, "energy_import", "uint32"),
        _constant(54, 0, "int16"),
    ),
)

SUNSPEC_213 = _sunspec(
    "sunspec_213",
    213,
    124,
    (
        *_phases(4, 2, "current", "float32"),
        *_phases(12, 2, "voltage", "float32"),
        _one(26, "frequency", "float32"),
        _one(28, "power", "float32"),
        *_phases(30, 2, "power", "float32"),
        _one(60, "energy_export", "float32"),
        _one(68, "energy_import", "float32"),
    ),
)

LAYOUTS = {
    layout.name: layout
    for layout in (
        JANITZA_UMG604,
        JANITZA_UMG512,
        JANITZA_UMG96,
        TQ_EM420,
        SIEMENS_PAC2200,
        SIEMENS_PAC3200,
        SIEMENS_PAC3220,
        SIEMENS_PAC4200,
        CARLO_GAVAZZI_EM24_E1,
        CARLO_GAVAZZI_EM340,
        CARLO_GAVAZZI_EM540,
        ABB_B23,
        ABB_M4M,
        SHELLY_PRO_3EM,
        EASTRON_SDM630,
        ALGODUE_UEM,
        LOVATO_DMG610,
        PHOENIX_EEM_XM,
        JANITZA_19000,
        HERHOLDT_ECS,
        HERHOLDT_ECS_LOW,
        SUNSPEC_203,
        SUNSPEC_213,
    )
}
"""All layouts, by name."""

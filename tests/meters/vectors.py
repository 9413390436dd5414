"""What every meter has in its registers at one known moment, written from manuals and from other people's programs.

Nothing here was read from our profiles: an address that is wrong there makes a wrong reading of these registers. A row is
the quantity, its first address as on the wire, its type ("l" at its end: low word first), the raw number of one unit, and
the registers from one phase to the next where that is not the length of the value.
"""

from dataclasses import dataclass

from .wire import Device, text_words, words

VALUES: dict[str, tuple[float, ...]] = {
    "U": (231.0, 229.0, 233.0),
    "I": (20.0, 10.5, 4.0),
    "P": (4530.0, -2310.0, 900.0),
    "Pt": (3120.0,),
    "f": (50.0,),
    "Wi": (1_234_000.0,),
    "We": (56_000.0,),
}
"""V, A, W, Hz and Wh: L2 exports. Currents are magnitudes; numbers that every resolution can hold."""

_TURNED: dict[str, tuple[float, ...]] = {
    "-I": tuple(
        -abs(amperes) if watts > 0 else amperes
        for amperes, watts in zip(VALUES["I"], VALUES["P"], strict=True)
    ),
    "-P": tuple(-watts for watts in VALUES["P"]),
    "-Pt": (-3120.0,),
    "P+": tuple(max(watts, 0.0) for watts in VALUES["P"]),
    "P-": tuple(max(-watts, 0.0) for watts in VALUES["P"]),
    "Pt+": (3120.0,),
    "Pt-": (0.0,),
    "|P|": tuple(abs(watts) for watts in VALUES["P"]),
    "P<0": (0.0, 1.0, 0.0),
    "Pt<0": (0.0,),
    "P1": (4530.0,),
    "U1": (231.0,),
    "I1": (20.0,),
    "zero": (0.0,),
}
_KINDS = {
    "u16": "uint16",
    "i16": "int16",
    "u32": "uint32",
    "i32": "int32",
    "u64": "uint64",
    "i64": "int64",
    "f32": "float32",
    "f64": "float64",
}

type Row = tuple[str, int, str, float] | tuple[str, int, str, float, int]
type Identity = tuple[int, int, list[int]]
"""Function code, address and registers."""


@dataclass(frozen=True, kw_only=True)
class Vector:
    """The registers of one meter."""

    code: int
    """Function code of the rows."""
    rows: tuple[Row, ...]
    identity: tuple[Identity, ...] = ()
    most: int = 125
    """Registers that the device gives in one request."""
    directed: bool = True
    """Whether it tells the power of each phase."""

    @property
    def quantities(self) -> set[str]:
        """What it tells."""
        return {row[0] for row in self.rows}

    def device(self) -> Device:
        """Return the device; everything else of its kind of registers answers 0."""
        device = Device()
        for name, address, kind, per_unit, *step in self.rows:
            order = "little" if kind.endswith("l") else "big"
            raw_kind = _KINDS[kind.removesuffix("l")]
            for index, value in enumerate((VALUES | _TURNED)[name]):
                raw = words(raw_kind, value * per_unit, order)
                apart = step[0] if step else len(raw)
                device.put([self.code], address + index * apart, raw)
        for code, address, raw in self.identity:
            device.put([code], address, raw)
        device.inner.clear()
        device.fill([self.code], 0, 65536)
        return device


def _swapped(text: str, count: int) -> list[int]:
    """Return a text of which each register has its bytes the other way round."""
    return [(word & 0xFF) << 8 | word >> 8 for word in text_words(text, count)]


_JANITZA: tuple[Row, ...] = (
    ("U", 19000, "f32", 1),
    ("I", 19012, "f32", 1),
    ("P", 19020, "f32", 1),
    ("Pt", 19026, "f32", 1),
    ("f", 19050, "f32", 1),
)
_TARIFF_1: tuple[Row, ...] = (("Wi", 19068, "f32", 1), ("We", 19076, "f32", 1))
_TQ = Vector(
    code=3,
    rows=(
        ("Pt+", 0, "u32", 10),
        ("Pt-", 2, "u32", 10),
        ("f", 26, "u32", 1000),
        ("P+", 40, "u32", 10, 40),
        ("P-", 42, "u32", 10, 40),
        ("I", 60, "u32", 1000, 40),
        ("U", 62, "u32", 1000, 40),
        ("Wi", 512, "u64", 10),
        ("We", 516, "u64", 10),
    ),
    identity=((3, 8192, [0x5233, 0x4842]),),
)
_PAC: tuple[Row, ...] = (
    ("U", 1, "f32", 1),
    ("I", 13, "f32", 1),
    ("P", 25, "f32", 1),
    ("f", 55, "f32", 1),
    ("Pt", 65, "f32", 1),
    ("Wi", 801, "f64", 1),
    ("zero", 805, "f64", 1),
    ("We", 809, "f64", 1),
    ("zero", 813, "f64", 1),
)


def _pac(order_number: str) -> Vector:
    """Return a Siemens SENTRON; 64001 to 64027 name it."""
    return Vector(
        code=3,
        rows=_PAC,
        identity=((3, 64001, [42, *text_words(order_number, 10)]),),
    )


def _gavazzi(code: int, most: int) -> Vector:
    """Return the map that EM24 E1, EM/ET 300 and EM500 share: low word first, 0.1 V, mA, 0.1 W, 0.1 kWh."""
    return Vector(
        code=4,
        rows=(
            ("U", 0x00, "i32l", 10),
            ("I", 0x0C, "i32l", 1000),
            ("P", 0x12, "i32l", 10),
            ("Pt", 0x28, "i32l", 10),
            ("f", 0x33, "i16", 10),
            ("Wi", 0x34, "i32l", 0.01),
            ("We", 0x4E, "i32l", 0.01),
        ),
        # Inside a longer read it belongs to a voltage between phases.
        identity=((4, 0x0B, [code]),),
        most=most,
    )


_ALGODUE: tuple[Row, ...] = (
    ("U", 0x1000, "f32", 1),
    ("I", 0x100E, "f32", 1),
    ("P", 0x1020, "f32", 1),
    ("Pt", 0x1026, "f32", 1),
    ("f", 0x1038, "f32", 1),
    ("Wi", 0x1106, "f32", 1),
    ("We", 0x110E, "f32", 1),
)
_LOVATO: tuple[Row, ...] = (
    ("U", 0x0001, "u32", 100),
    ("I", 0x0007, "u32", 10000),
    ("P", 0x0013, "i32", 100),
    ("Pt", 0x0039, "i32", 100),
)
_EASTRON: tuple[Row, ...] = (
    ("U", 0x00, "f32", 1),
    ("I", 0x06, "f32", 1),
    ("P", 0x0C, "f32", 1),
    ("Pt", 0x34, "f32", 1),
    ("f", 0x46, "f32", 1),
    ("Wi", 0x48, "f32", 0.001),
    ("We", 0x4A, "f32", 0.001),
)
_SOCO = [ord(letter) for letter in "SOCO"]


def _herholdt(first: int) -> Vector:
    """Return the table that begins with a text at 4104, counted from 0 or from 1."""
    return Vector(
        code=3,
        rows=(
            ("P", 4151 - first, "i32", 1000),
            ("Pt", 4157 - first, "i64", 1000),
            ("U", 4267 - first, "u32", 1000),
            ("I", 4279 - first, "u32", 1000),
        ),
        identity=((3, 4104 - first, text_words("ECSEM", 7)),),
    )


VECTORS = {
    # Janitza's address lists, and the integration of that maker.
    "janitza_19000": Vector(code=3, rows=(*_JANITZA, *_TARIFF_1)),
    "janitza_umg96": Vector(code=3, rows=(*_JANITZA, *_TARIFF_1)),
    "janitza_umg604": Vector(code=3, rows=(*_JANITZA, *_TARIFF_1)),
    "janitza_umg512": Vector(code=3, rows=(*_JANITZA, *_TARIFF_1)),
    # OpenEMS and Janitza agree on all but the energies.
    "janitza_umg801": Vector(code=3, rows=_JANITZA),
    # PQ Plus, protocol 3.0, section 3.6.5: the actual values by function code 4.
    "pqplus_umd": Vector(code=4, rows=_JANITZA),
    # OpenEMS.
    "weidmueller_em525": Vector(code=3, rows=(*_JANITZA, *_TARIFF_1)),
    # TQ Energy Manager, Modbus Slave.0013.
    "tq_em420": _TQ,
    "kostal_ksem": _TQ,
    "abl_em4": _TQ,
    # The manuals of the PAC2200, 3200 and 4200.
    "siemens_pac2200": _pac("7KM2200-2EA30-1EA1"),
    "siemens_pac3200": _pac("7KM2112-0BA00-3AA0"),
    "siemens_pac3220": _pac("7KM3220-0BA01-1DA0"),
    "siemens_pac4200": _pac("7KM4212-0BA00-3AA0"),
    # OpenEMS by function code 3, evcc by 4; Lovato's manual through mbmd.
    "siemens_pac1600": Vector(
        code=3,
        rows=(
            *_LOVATO,
            ("f", 49, "u32", 100),
            ("Wi", 6687, "u32", 1),
            ("We", 6689, "u32", 1),
        ),
    ),
    "siemens_7kt1665": Vector(
        code=4,
        rows=(
            *_LOVATO,
            ("f", 49, "u32", 100),
            ("Wi", 6687, "u32", 1),
            ("We", 6689, "u32", 1),
        ),
    ),
    "lovato_dmg610": Vector(
        code=4,
        rows=(
            *_LOVATO,
            ("f", 0x0031, "u32", 1000),
            ("Wi", 0x1B1F, "u64", 0.1),
            ("We", 0x1B23, "u64", 0.1),
        ),
    ),
    # Carlo Gavazzi's protocols, Victron's drivers, mbmd.
    "carlo_gavazzi_em24_e1": _gavazzi(1651, 125),
    "carlo_gavazzi_em340": _gavazzi(346, 20),
    "carlo_gavazzi_em540": _gavazzi(1763, 20),
    "carlo_gavazzi_em210": _gavazzi(0, 11),
    "carlo_gavazzi_em24": Vector(
        code=4,
        rows=(
            ("U", 0x00, "i32l", 10),
            ("I", 0x0C, "i32l", 1000),
            ("P", 0x12, "i32l", 10),
            ("Pt", 0x28, "i32l", 10),
            ("f", 0x37, "i16", 10),
            ("Wi", 0x3E, "i32l", 0.01),
            ("We", 0x5C, "i32l", 0.01),
        ),
        identity=((4, 0x0B, [72]),),
        most=11,
    ),
    # openWB, after ABB 2CMC485003M0201.
    "abb_b23": Vector(
        code=3,
        rows=(
            ("U", 0x5B00, "u32", 10),
            ("I", 0x5B0C, "u32", 100),
            ("Pt", 0x5B14, "i32", 100),
            ("P", 0x5B16, "i32", 100),
            ("f", 0x5B2C, "u16", 100),
            ("Wi", 0x5000, "u64", 0.1),
            ("We", 0x5004, "u64", 0.1),
        ),
        identity=((3, 0x8960, text_words("B23 ", 2)),),
    ),
    # Victron's driver: L1 only, its power where that of the whole system stands.
    "abb_b21": Vector(
        code=3,
        rows=(
            ("U1", 0x5B00, "u32", 10),
            ("I1", 0x5B0C, "u32", 100),
            ("P1", 0x5B14, "i32", 100),
            ("f", 0x5B2C, "u16", 100),
            ("Wi", 0x5000, "u64", 0.1),
            ("We", 0x5004, "u64", 0.1),
        ),
        identity=(
            (3, 0x5B16, [0x7FFF, 0xFFFF] * 3),
            (3, 0x8960, text_words("B21 ", 2)),
        ),
    ),
    # ABB, M4M Modbus map v.1.3N, through abb-teltonika.
    "abb_m4m": Vector(
        code=3,
        rows=(
            ("U", 0x5B02, "u32", 10),
            ("I", 0x5B10, "u32", 100),
            ("Pt", 0x5B1A, "i32", 100),
            ("P", 0x5B1C, "i32", 100),
            ("f", 0x5B32, "u16", 100),
            ("Wi", 0x5000, "u64", 0.1),
            ("We", 0x5004, "u64", 0.1),
        ),
    ),
    # Victron's driver: 31013, 31020 … less 30000; texts with their bytes swapped.
    "shelly_pro_3em": Vector(
        code=4,
        rows=(
            ("Pt", 1013, "f32l", 1),
            ("U", 1020, "f32l", 1, 20),
            ("I", 1022, "f32l", 1, 20),
            ("P", 1024, "f32l", 1, 20),
            ("Wi", 1162, "f32l", 1),
            ("We", 1164, "f32l", 1),
        ),
        identity=(
            (4, 0, _swapped("A0DD6CA0E0CC", 6)),
            (4, 6, _swapped("SPEM-003CEBEU63", 10)),
        ),
        most=80,
    ),
    # Eastron, SDM630 protocol 1.7; openWB reads short blocks only.
    "eastron_sdm630": Vector(code=4, rows=_EASTRON, most=18),
    "eastron_sdm54": Vector(code=4, rows=_EASTRON, most=18),
    # TIP's manual, openWB, ioBroker's templates.
    "algodue_uem": Vector(
        code=4,
        rows=_ALGODUE,
        identity=((4, 0x0500, text_words("1234567890", 5)), (4, 0x0505, [8])),
    ),
    "phoenix_eem_em375": Vector(
        code=4,
        rows=_ALGODUE,
        identity=(
            (3, 1280, text_words("123456789012", 6)),
            (3, 1290, [0, 107]),
            (3, 1302, [0, 250]),
        ),
    ),
    # OpenEMS.
    "phoenix_eem_xm": Vector(
        code=3,
        rows=(
            ("U", 0x8006, "f32l", 1),
            ("f", 0x800C, "f32l", 1),
            ("I", 0x800E, "f32l", 1),
            ("Pt", 0x8016, "f32l", 1),
            ("P", 0x801E, "f32l", 1),
        ),
    ),
    # The printed table of the ECSEM.
    "herholdt_ecs": _herholdt(0),
    "herholdt_ecs_low": _herholdt(1),
    # A public logger's table of the 96HDLe.
    "ime_nemo": Vector(
        code=3,
        rows=(
            ("U", 0x1000, "u32", 1000),
            ("I", 0x1006, "u32", 1000),
            ("Pt", 0x1014, "u32", 1),
            ("Pt<0", 0x101A, "u16", 1),
            ("Wi", 0x101C, "u32", 0.1),
            ("We", 0x1020, "u32", 0.1),
            ("f", 0x1026, "u16", 10),
            ("|P|", 0x102C, "u32", 1),
            ("P<0", 0x1032, "u16", 1),
        ),
    ),
    # mbmd, after DOCA0005; a logger's map of the iEM3255 for its name.
    "schneider_iem3000": Vector(
        code=3,
        rows=(
            ("I", 0x0BB7, "f32", 1),
            ("U", 0x0BD3, "f32", 1),
            ("P", 0x0BED, "f32", 0.001),
            ("Pt", 0x0BF3, "f32", 0.001),
            ("f", 0x0C25, "f32", 1),
            ("Wi", 0x0C83, "i64", 1),
            ("We", 0x0C87, "i64", 1),
        ),
        identity=(
            (3, 0x0031, text_words("iEM3255", 20)),
            (3, 0x0081, [0x0012, 0xD687]),
        ),
    ),
    # Socomec's common table: 0.01 V, mA, 0.01 kW.
    "socomec_countis": Vector(
        code=3,
        rows=(
            ("U", 0xC558, "u32", 100),
            ("I", 0xC560, "u32", 1000),
            ("Pt", 0xC568, "i32", 0.1),
            ("P", 0xC570, "i32", 0.1),
        ),
        identity=((3, 0xC350, _SOCO), (3, 0xC38A, text_words("COUNTIS E44", 8))),
    ),
    # OpenEMS: 0.01 V, mA, W.
    "socomec_diris_b30": Vector(
        code=3,
        rows=(
            ("f", 0x480A, "u32", 1000),
            ("U", 0x480C, "u32", 100),
            ("I", 0x481A, "u32", 1000),
            ("Pt", 0x482C, "i32", 1),
            ("P", 0x4838, "i32", 1),
        ),
        identity=((3, 0xC350, _SOCO), (3, 0xC38A, text_words("DIRIS B30", 8))),
    ),
    # evcc and mbmd, after Huawei: positive is what is fed into the grid.
    "huawei_sun2000": Vector(
        code=3,
        rows=(
            ("U", 37101, "i32", 10),
            ("-I", 37107, "i32", 100),
            ("-Pt", 37113, "i32", 1),
            ("f", 37118, "i16", 100),
            ("We", 37119, "i32", 0.1),
            ("Wi", 37121, "i32", 0.1),
            ("-P", 37132, "i32", 1),
        ),
    ),
    # openWB.
    "kostal_plenticore": Vector(
        code=3,
        rows=(
            ("f", 220, "f32l", 1),
            ("I", 222, "f32l", 1, 10),
            ("P", 224, "f32l", 1, 10),
            ("U", 230, "f32l", 1, 10),
            ("Pt", 252, "f32l", 1),
        ),
    ),
    # Victron's list of registers through two programs.
    "victron_gx": Vector(
        code=4,
        rows=(
            ("P", 2600, "i16", 1),
            ("U", 2616, "u16", 10, 2),
            ("I", 2617, "i16", 10, 2),
            ("f", 2644, "u16", 100),
        ),
    ),
    # IAMMETER's own integration; 1/800 kWh.
    "iammeter_wem3080t": Vector(
        code=3,
        rows=(
            ("U", 0, "u16", 100, 10),
            ("I", 1, "u16", 100, 10),
            ("P", 2, "i32", 1, 10),
            ("f", 30, "u16", 100),
            ("Pt", 32, "i32", 1),
            ("Wi", 34, "u32", 0.8),
            ("We", 36, "u32", 0.8),
        ),
    ),
    # inepro's and WAGO's manuals through mbmd, and Victron's driver.
    "inepro_pro380": Vector(
        code=3,
        rows=(
            ("U", 0x5002, "f32", 1),
            ("f", 0x5008, "f32", 1),
            ("I", 0x500C, "f32", 1),
            ("Pt", 0x5012, "f32", 0.001),
            ("P", 0x5014, "f32", 0.001),
            ("Wi", 0x600C, "f32", 0.001),
            ("We", 0x6018, "f32", 0.001),
        ),
    ),
    # Solaranzeige and OpenEMS.
    "hager_ecr380d": Vector(
        code=3,
        rows=(
            ("U", 0xB000, "u16", 100),
            ("f", 0xB006, "u16", 100),
            ("I", 0xB009, "u32", 1000),
            ("Pt", 0xB011, "i32", 0.1),
            ("P", 0xB019, "i32", 0.1),
            ("Wi", 0xB060, "u32", 0.001),
            ("We", 0xB064, "u32", 0.001),
        ),
    ),
    # SmartEVSE, and the maker's table in gerontec/dtsu666.
    "chint_dtsu666": Vector(
        code=3,
        rows=(
            ("U", 0x2006, "f32", 10),
            ("I", 0x200C, "f32", 1000),
            ("Pt", 0x2012, "f32", 10),
            ("P", 0x2014, "f32", 10),
            ("f", 0x2044, "f32", 100),
            ("Wi", 0x101E, "f32", 0.001),
            ("We", 0x1028, "f32", 0.001),
        ),
    ),
    # Finder's list through mbmd; ioBroker's template has 32501 and 32517, which are these less 30001.
    "finder_7m38": Vector(
        code=4,
        rows=(
            ("U", 2500, "f32", 1),
            ("I", 2516, "f32", 1),
            ("P", 2530, "f32", 1),
            ("Pt", 2536, "f32", 1),
        ),
    ),
    # evcc.
    "acrel_adw300": Vector(
        code=3,
        rows=(
            ("U", 20, "u16", 10),
            ("I", 26, "u16", 100),
            ("P", 30, "i32", 1),
            ("Pt", 36, "i32", 1),
            ("Wi", 62, "i32", 0.1),
            ("We", 64, "i32", 0.1),
        ),
    ),
    # mbmd: 28, 32, 36 … of the manual, which counts from 1.
    "saia_ale3": Vector(
        code=3,
        rows=(
            ("Wi", 27, "u32", 0.1),
            ("We", 31, "u32", 0.1),
            ("U", 35, "u16", 1, 5),
            ("I", 36, "u16", 10, 5),
            ("P", 37, "i16", 0.1, 5),
            ("Pt", 50, "i16", 0.1),
        ),
    ),
    # mbmd: import and export power apart, none of a phase.
    "dzg_dvh4013": Vector(
        code=3,
        rows=(
            ("Pt+", 0x0000, "u32", 10),
            ("Pt-", 0x0002, "u32", 10),
            ("U", 0x0004, "u32", 100),
            ("I", 0x000A, "u32", 1000),
            ("f", 0x0012, "u32", 1000),
            ("Wi", 0x4000, "u32", 1),
            ("We", 0x4100, "u32", 1),
        ),
        directed=False,
    ),
}

"""Profiles are checked: the built-in ones are right, and wrong ones of users are refused with line and reason."""

from collections.abc import Callable
from contextlib import suppress
import copy
from pathlib import Path
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.reev_ems.meters import (
    InvalidProfile,
    LoadedProfiles,
    ModbusGateways,
    Status,
    load_profiles,
    parse_profile,
    probe_meter,
)
from custom_components.reev_ems.meters.profile import WORDS, Combine

from .wire import ModbusServer, twin

CUSTOM: dict[str, Any] = {
    "id": "my_meter",
    "name": "Meter of the bakery",
    "models": ["X1"],
    "word_order": "little",
    "quantities": {
        "voltage_l1": {"address": 10, "type": "uint16", "scale": 0.1},
        "voltage_l2": {"address": 11, "type": "uint16", "scale": 0.1},
        "voltage_l3": {"address": 12, "type": "uint16", "scale": 0.1},
        "current_l1": {
            "address": 100,
            "type": "int32",
            "scale": 0.001,
            "sign_from": "power_l1",
        },
        "current_l2": {
            "address": 102,
            "type": "int32",
            "scale": 0.001,
            "sign_from": "power_l2",
        },
        "current_l3": {
            "address": 104,
            "type": "int32",
            "scale": 0.001,
            "sign_from": "power_l3",
        },
        "power_l1": {"address": 200, "type": "float32", "function_code": 4},
        "power_l2": {"address": 202, "type": "float32", "function_code": 4},
        "power_l3": {
            "address": 204,
            "type": "float32",
            "function_code": 4,
            "word_order": "big",
        },
        "energy_import": {"sum": [300, 304], "type": "uint64", "scale": 0.1},
    },
}
"""A meter as the user's form hands it over."""


def test_built_in_profiles(loaded: LoadedProfiles) -> None:
    """All built-in files are right, name where they come from, and claim no more than was done."""
    assert loaded.errors == ()
    assert len(loaded.profiles) >= 26
    for profile in loaded.profiles.values():
        assert profile.sources, profile.id
        assert profile.models or profile.name_remark, profile.id
        two = "two sources, or one of them the maker's"
        assert profile.status is Status.UNVERIFIED or len(profile.sources) > 1, (
            f"{profile.id} needs {two} to be documented"
        )
        assert profile.status is not Status.VERIFIED, (
            f"{profile.id}: nobody has compared it with a display"
        )
        for quantity in profile.quantities.values():
            assert quantity.combine is not Combine.MINUS or len(quantity.addresses) == 2
        for block in profile.blocks:
            used = {
                address
                for quantity in profile.quantities.values()
                for address in quantity.addresses
                if block.holds(quantity.space, address, WORDS[quantity.type])
            }
            assert used, f"{profile.id}: block {block.start} is read for nothing"
    wanted = {
        "tq_em420",
        "janitza_umg604",
        "janitza_umg512",
        "woehner_3700",
        "gewiss_gwd6809",
        "siemens_pac2200",
    }
    assert wanted <= set(loaded.profiles)


async def test_custom_meter_of_the_form(gateways: ModbusGateways) -> None:
    """A meter that was entered by hand is read; its requests follow from its values and touch nothing else."""
    profile = parse_profile(CUSTOM)
    async with ModbusServer({1: twin(profile)}) as server:
        probe = await probe_meter(
            gateways, profile, host="127.0.0.1", port=server.port, unit_id=1
        )
        assert [request[1:] for request in server.requests] == [
            (3, 10, 3),
            (3, 100, 6),
            (3, 300, 8),
            (4, 200, 6),
        ]
    assert probe.reading.current_a == pytest.approx((20.0, -10.5, 4.0))
    assert probe.reading.voltage_v == pytest.approx((231.5, 229.2, 233.0), abs=0.11)
    assert probe.reading.power_w == pytest.approx((4537.5, -2310.0, 900.0))
    assert probe.reading.power_total_w == pytest.approx(3127.5)
    assert probe.reading.frequency_hz is None
    assert probe.reading.energy_import_wh == pytest.approx(1_234_000)


def change(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Return a change of one value; None takes it away."""

    def apply(data: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for key in parents:
            data = data[key]
        if value is None:
            del data[last]
        else:
            data[last] = value

    return apply


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("id", "My Meter", "id: must be lower case"),
        ("name", "", "name: must be a text"),
        ("name", None, "name: must be a text"),
        ("models", "X1", "models: must be a list"),
        ("port", 0, "port: must be a whole number"),
        ("port", True, "port: must be a whole number"),
        ("unit_ids", [], "unit_ids: must name at least one"),
        ("unit_ids", [256], "unit_ids: must be a whole number"),
        ("status", "perfect", "status: must be one of"),
        ("function_code", 6, "function_code: must be one of 3, 4"),
        ("word_order", "middle", "word_order: must be one of"),
        ("min_poll_s", float("nan"), "min_poll_s: must be a number"),
        ("voltage", 3, "voltage: is not a known key"),
        ("quantities", [], "quantities: must be a mapping"),
        ("quantities", None, "needs exactly one of"),
        (
            "quantities.voltage_l4",
            {"address": 1},
            "quantities.voltage_l4: is not a quantity",
        ),
        ("quantities.current_l1", None, "current_l1 is missing"),
        (
            "quantities.current_l1.address",
            None,
            "needs exactly one of address, sum and minus",
        ),
        (
            "quantities.current_l1.sum",
            [1, 2],
            "needs exactly one of address, sum and minus",
        ),
        (
            "quantities.current_l1.address",
            65536,
            "must be a whole number from 0 to 65535",
        ),
        ("quantities.current_l1.address", 65535, "reaches beyond the last register"),
        ("quantities.current_l1.address", "100", "must be a whole number"),
        (
            "quantities.current_l1.type",
            "int24",
            "quantities.current_l1.type: must be one of",
        ),
        (
            "quantities.current_l1.scale",
            0,
            "quantities.current_l1.scale: must not be 0",
        ),
        (
            "quantities.current_l1.scale",
            float("inf"),
            "quantities.current_l1.scale: must be a number",
        ),
        ("quantities.current_l1.sign_from", "power_total", "sign_from: must be one of"),
        ("quantities.power_l1", None, "sign_from: power_l1 is not among"),
        (
            "quantities.power_l1.sign_register",
            -1,
            "quantities.power_l1.sign_register: must be a whole number",
        ),
        (
            "quantities.power_l1.tenth_above",
            "100",
            "quantities.power_l1.tenth_above: must be a number",
        ),
        ("ratings_a", 63, "ratings_a: must be a mapping"),
        ("ratings_a", {"X1": "63"}, "ratings_a.X1: must be a number"),
        ("name_remark", "", "name_remark: must be a text"),
        ("value_notes", "compare", "value_notes: must be a list"),
        (
            "quantities.voltage_l1.sign_from",
            "power_l1",
            "sign_from: is for currents only",
        ),
        (
            "quantities.current_l1.adress",
            5,
            "quantities.current_l1.adress: is not a known key",
        ),
        ("quantities.energy_import", {"minus": [1, 2, 3]}, "needs two addresses"),
        ("quantities.energy_import", {"sum": [1]}, "needs two addresses"),
        ("quantities.current_l2.address", 101, "overlaps current_l1 at address 101"),
        ("blocks", [[0, 126]], "blocks.0: must start in"),
        ("blocks", [[0, 10], [5, 10]], "overlaps another block"),
        ("blocks", [[0, 10, 3]], "blocks.0: must be"),
        ("blocks", [[0, 20]], "lies outside all blocks"),
        (
            "identification",
            {"serial": {"address": 1, "type": "string", "count": 99}},
            "must be a whole number from 1",
        ),
        (
            "identification",
            {"serial": {"address": 1, "expect": "A"}},
            "expect: must be a whole number",
        ),
        (
            "identification",
            {"ct_primary": {"address": 1, "type": "string", "count": 2}},
            "identification.ct_primary.type: must be a number",
        ),
        ("rating_a", 0, "rating_a: must be a number from 1"),
        (
            "quantities",
            {"current_l1": {"address": 1}},
            "voltage_l1 or frequency is needed",
        ),
        ("identification_blocks", [[1, 1]], None),
        ("candidates", ["nobody"], "candidates: nobody is not a known profile"),
        ("sunspec_models", [203], "needs exactly one of"),
    ],
)
def test_wrong_profile(path: str, value: object, reason: str | None) -> None:
    """What is wrong is named."""
    data = copy.deepcopy(CUSTOM)
    change(path, value)(data)
    if reason is None:
        parse_profile(data)
        return
    with pytest.raises(InvalidProfile) as caught:
        parse_profile(data)
    assert reason in str(caught.value)


def test_import_and_export_of_two_requests_are_refused() -> None:
    """A difference whose sides may belong to two moments is no power."""
    data = copy.deepcopy(CUSTOM)
    data["quantities"]["power_total"] = {"minus": [500, 600]}
    with pytest.raises(InvalidProfile, match="same block"):
        parse_profile(data)


GOOD = """id: bakery
name: Bakery
quantities:
  voltage_l1: {address: 20}
  current_l1: {address: 0}
"""


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (
            GOOD + "  current_l2: {address: 2, typ: int16}\n",
            6,
            "quantities.current_l2.typ: is not a known key",
        ),
        (
            GOOD + "  current_l2:\n    address: 2\n    type: int24\n",
            8,
            "must be one of",
        ),
        (GOOD + "blocks:\n  - [0, 2]\n  - [4, 200]\n", 8, "blocks.1: must start in"),
        (GOOD + "name: again\n", 1, "name is given twice"),
        (GOOD + "extends: nobody\n", 6, "nobody is not a profile that can be extended"),
        (GOOD + "extends: bakery\n", 6, "bakery is not a profile that can be extended"),
        (GOOD + "extends: [a]\n", 6, "is not a profile that can be extended"),
        (GOOD + "  current_l2: [\n", 7, "is not valid YAML"),
        (GOOD + "notes: [&a text, *a]\n", 6, "must not use YAML aliases"),
        (GOOD + "notes: !!python/object:os.system [x]\n", 6, "is not valid YAML"),
        (GOOD + "1: 2\n", 6, "1: is not a known key"),
        (GOOD + "notes: [2026-99-99]\n", None, "is not valid YAML"),
        (GOOD + "? [a, b]\n: 1\n", 6, "is not valid YAML"),
        ("- 1\n- 2\n", 1, "must hold a mapping"),
        ("", 1, "must hold a mapping"),
        ("\x00", None, "is not valid YAML"),
        pytest.param("[" * 150_000, None, "is nested too deeply", id="brackets"),
        pytest.param(
            "\n".join(" " * n + "a:" for n in range(500)),
            None,
            "is nested too deeply",
            id="indentation",
        ),
        pytest.param(GOOD + "#" * 300_000, None, "is larger than", id="large"),
    ],
)
def test_wrong_file_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int | None, reason: str
) -> None:
    """One wrong file of the user costs nothing but itself."""
    (tmp_path / "bakery.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "good.yaml").write_text(
        GOOD.replace("id: bakery", "id: good"), encoding="utf-8"
    )
    found = load_profiles(tmp_path)
    assert [error.file for error in found.errors] == ["bakery.yaml"]
    assert reason in found.errors[0].reason
    if line is not None:
        assert found.errors[0].line == line
    assert "good" in found.profiles
    assert "janitza_umg604" in found.profiles


def test_users_folder(tmp_path: Path) -> None:
    """A user's file may stand on a built-in one or replace it; a broken replacement leaves the built-in one."""
    (tmp_path / "a.yaml").write_text(
        "id: my_umg\nextends: janitza_umg604\nname: Hall 3\nunit_ids: [9]\nquantities: {energy_export: null}\n"
    )
    (tmp_path / "b.yaml").write_text(
        "id: tq_em420\nextends: janitza_umg604\nname: Replaced\n"
    )
    (tmp_path / "c.yaml").write_text("id: siemens_pac2200\nname: Broken\n")
    (tmp_path / "d.yaml").write_text("id: my_umg\nname: Twice\n")
    (tmp_path / "e.yml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "f.yaml").mkdir()
    found = load_profiles(tmp_path)
    mine = found.profiles["my_umg"]
    assert (mine.name, mine.unit_ids) == ("Hall 3", (9,))
    assert "energy_export" not in mine.quantities
    assert (
        mine.quantities["current_l1"]
        == found.profiles["janitza_umg604"].quantities["current_l1"]
    )
    assert found.profiles["tq_em420"].name == "Replaced"
    assert found.profiles["siemens_pac2200"].name == "Siemens SENTRON PAC2200"
    assert sorted(error.file for error in found.errors) == [
        "c.yaml",
        "d.yaml",
        "e.yml",
        "f.yaml",
    ]
    assert load_profiles(tmp_path / "nowhere").errors == ()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 70000)
    | st.floats()
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
places = [
    *(
        (key,)
        for key in (
            *CUSTOM,
            "blocks",
            "absent",
            "max_read",
            "candidates",
            "identification",
            "extends",
        )
    ),
    *(("quantities", name) for name in CUSTOM["quantities"]),
    *(
        ("quantities", "current_l1", key)
        for key in ("address", "sum", "minus", "type", "scale", "scale_register")
    ),
]


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(places), value=json_values)
def test_any_data_is_a_profile_or_refused(
    place: tuple[str, ...], value: object
) -> None:
    """Whatever stands in a file, it is either understood or refused, never a crash."""
    data = copy.deepcopy(CUSTOM)
    target = data
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with suppress(InvalidProfile):
        assert parse_profile(data).quantities

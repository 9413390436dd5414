"""The matrix itself: its rows make sense, and its judge sees what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.judge import Record, compare, is_so
from tests.faults.rows import FOLDER, load_rows

ENTRY = {
    "charge_point": "CP1",
    "connector": 1,
    "id": 5,
    "id_tag": "TAG",
    "started_at": 0.0,
    "stopped_at": 100.0,
    "energy_wh": 1000,
}


def record(**changes: Any) -> Record:
    """Return the record of that session."""
    values = {
        "id": 5,
        "charge_point": "CP1",
        "remote_id": None,
        "ended": True,
        "closed": True,
        "energy_wh": 1000.0,
    } | changes
    return Record(**values)


def test_rows_can_be_read() -> None:
    """Each has a name of its own, ways back, conditions that are known, and there is a short selection."""
    rows = load_rows()
    assert len(rows) > 30
    assert 2 <= sum(row.quick for row in rows) <= 5
    state: dict[str, Any] = {"charge_points": {}, "circuits": {}}
    for row in rows:
        assert row.what[0].isupper()
        for condition in row.expect:
            known = {
                key: value
                for key, value in condition.items()
                if key in {"within_s", "for_s", "issue"} or value == "all"
            }
            is_so(known, state, frozenset())


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[{row: a, what: b}]", "do"),
        ("[{row: a, what: b, do: [{nothing: 1}]}]", "do"),
        ("[{row: a, what: b, do: [], weather: 1}]", "weather"),
        ("[{row: a, what: b, do: []}, {row: a, what: b, do: []}]", "two rows"),
    ],
)
def test_rows_that_make_no_sense(tmp_path: Path, text: str, wrong: str) -> None:
    """They are named before anything starts."""
    file = tmp_path / "rows.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=wrong):
        load_rows([file])


def test_books_and_records_that_agree() -> None:
    """A session is known by our id or by its own; one that nobody was told of is not looked for."""
    assert compare([ENTRY], [record()], "equal") == []
    assert compare([{**ENTRY, "id": "tx"}], [record(remote_id="tx")], "equal") == []
    assert compare([{**ENTRY, "id": None}], [], "equal") == []
    running = {**ENTRY, "stopped_at": None, "energy_wh": None}
    assert compare([running], [record(ended=False)], "equal") == []


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], "0 records"),
        ([record(), record(id=6, remote_id="5")], "2 records"),
        ([record(charge_point="CP2")], "0 records"),
        ([record(ended=False)], "recorded as open"),
        ([record(energy_wh=1100.0)], "1100.0 Wh for 1000 Wh"),
        ([record(energy_wh=None)], "None Wh"),
    ],
)
def test_books_and_records_that_differ(records: list[Record], said: str) -> None:
    """Each kind of difference is found and named."""
    (found,) = compare([ENTRY], records, "equal")
    assert said in found


def test_energy_matters_where_it_is_asked_for() -> None:
    """After a fault that costs it, each session is still recorded once."""
    assert compare([ENTRY], [record(energy_wh=5.0, ended=False)], "recorded") == []
    assert compare([ENTRY], [record(ended=False, closed=False)], "recorded")
    running = {**ENTRY, "stopped_at": None}
    (found,) = compare([running], [record()], "recorded")
    assert "recorded as ended" in found


def test_conditions() -> None:
    """They are about the truth, not about what the integration says."""
    state: dict[str, Any] = {
        "charge_points": {
            "CP1": {
                "connectors": {
                    "1": {
                        "limit": 10.0,
                        "maximum": 32.0,
                        "current_a": [9.0, 9.0, 9.0],
                        "transaction": {"id": 1},
                    }
                }
            }
        },
        "circuits": {"main": {"current_a": [64, 1, 1], "limit_a": [63, 63, 63]}},
    }
    nobody: frozenset[str] = frozenset()
    assert not is_so({"floor": "all"}, state, nobody)
    assert is_so({"above_floor": ["CP1"], "charging": "all"}, state, nobody)
    assert is_so({"at_least_a": {"CP1": 10}, "running": "all"}, state, nobody)
    assert not is_so({"within_limits": True}, state, nobody)
    assert is_so({"used_a": {"main": 60}}, state, nobody)
    assert not is_so({"issue": "meter_silent"}, state, nobody)
    assert is_so({"issue": "meter"}, state, frozenset({"meter_silent_frozen"}))
    state["charge_points"]["CP1"]["connectors"]["1"]["limit"] = None
    assert not is_so({"at_most_a": {"CP1": 31}}, state, nobody)
    with pytest.raises(ValueError, match="weather"):
        is_so({"weather": 1}, state, nobody)


def test_the_site_is_there() -> None:
    """The rows name what is in it."""
    assert (FOLDER / "sites/depot.yaml").exists()

"""What the product is for, seen from outside: the true currents of the site and what a person reads in the UI."""

import sqlite3
from typing import Any

import pytest

from .conftest import (
    CAR_RAMP_S,
    E2E,
    METER_TIMEOUT_S,
    PROFILE_LIFE_S,
    connector,
    limits_a,
    worst_over_a,
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),
]

FLOOR_A = 6.0
# Half a second for the polls of this test, and the resolution of what they measure.
SLACK_S = 1.0


def all_on_floor(state: dict[str, Any]) -> bool:
    """Return whether every charge point is limited to its failsafe, or below it."""
    return all(
        limit_a is not None and limit_a <= FLOOR_A
        for limit_a in limits_a(state).values()
    )


def above_floor(state: dict[str, Any]) -> bool:
    """Return whether every charge point may take more than its failsafe again."""
    return all(
        limit_a is not None and limit_a > FLOOR_A
        for limit_a in limits_a(state).values()
    )


async def test_a_jump_of_the_base_load_is_answered_at_once_s1(site: E2E) -> None:
    """The main fuse would be exceeded: permits fall, and the meter is back under the limit in time."""
    await site.settle()
    before = limits_a(await site.state())
    await site.set_base("main", 40, 40, 40)
    lowered_s = await site.wait(
        "permits lowered",
        lambda state: sum(limits_a(state).values()) < sum(before.values()) - 10,
        within_s=3 + SLACK_S,
    )
    back_s = await site.wait(
        "back under the limit",
        lambda state: worst_over_a(state) <= 0,
        within_s=3 + CAR_RAMP_S - lowered_s + SLACK_S,
    )
    state = await site.state()
    site.note(
        f"(a) permits lowered after {lowered_s:.1f} s, under the limit after {lowered_s + back_s:.1f} s"
    )
    assert state["metrics"]["broken_as"] == 0
    # Nothing was lost: everybody still charges.
    assert all(connector(state, name)["transaction"] for name in before)


async def test_b_one_phase_of_the_sub_distribution_binds_s1(site: E2E) -> None:
    """Who does not use the full phase is not held back by it, and the reason names circuit and phase."""
    await site.settle()
    await site.set_base("garage", 2, 2, 22)

    def shared(state: dict[str, Any]) -> bool:
        garage_a = state["circuits"]["garage"]["current_a"]
        return (
            worst_over_a(state) <= 0
            and garage_a[2] > 37
            and connector(state, "CP3")["current_a"][0] > 15
        )

    elapsed_s = await site.wait("garage L3 used up, CP3 raised", shared, within_s=90)

    async def says_why() -> bool:
        """Return whether the UI names the circuit and the phase; a raise that waits is named meanwhile."""
        reason = await site.entity("sensor.cp1_limited_by")
        attributes = reason["attributes"]
        return (reason["state"], attributes["circuit"], attributes["phase"]) == (
            "circuit_phase",
            "Garage",
            "L3",
        )

    await site.wait_for("the reason", says_why, within_s=90)
    state = await site.state()
    garage_a = state["circuits"]["garage"]["current_a"]
    # CP3 is on L2 alone: it gets what L3 keeps CP1 and CP2 from taking there.
    assert connector(state, "CP3")["limit"] > connector(state, "CP1")["limit"] + 5
    assert garage_a[0] < 30
    assert state["metrics"]["broken_as"] == 0
    site.note(
        f"(b) garage at {'/'.join(f'{amps:.1f}' for amps in garage_a)} of 40 A after {elapsed_s:.0f} s"
    )


async def test_c_a_silent_meter_puts_all_on_the_floor_and_back_s3(site: E2E) -> None:
    """Nobody guesses while the grid meter is silent, and charging goes on when it is back."""
    await site.settle()
    await site.command("meter_fault", meter="grid", fault="silence")
    floored_s = await site.wait(
        "all on their floor", all_on_floor, within_s=METER_TIMEOUT_S + 2 + SLACK_S
    )
    issues = (await site.demo.home_assistant.command("repairs/list_issues"))["issues"]
    assert any(
        issue["domain"] == "reev_ems" and "meter_silent" in issue["translation_key"]
        for issue in issues
    )
    assert (await site.entity("sensor.e2e_site_state"))["state"] == "failsafe"
    state = await site.state()
    assert all(connector(state, name)["transaction"] for name in state["charge_points"])
    await site.command("meter_fault", meter="grid", fault="none")
    back_s = await site.wait("raised again", above_floor, within_s=60)
    site.note(
        f"(c) all on their floor {floored_s:.1f} s after the meter fell silent, above it {back_s:.1f} s after its return"
    )
    issues = (await site.demo.home_assistant.command("repairs/list_issues"))["issues"]
    assert not any("meter_silent" in issue["translation_key"] for issue in issues)


async def test_d_a_solar_connector_starts_with_the_sun_and_follows(site: E2E) -> None:
    """It waits without surplus, starts when there is export, and follows what there is."""
    await site.settle()
    for name in ("cp1", "cp2", "cp3"):
        await site.call("switch.turn_off", entity_id=f"switch.{name}_charging")
    await site.call("switch.turn_on", entity_id="switch.e2e_site_pv_surplus_charging")
    await site.call(
        "select.select_option", entity_id="select.cp4_charging_mode", option="solar"
    )
    try:
        await site.wait(
            "CP4 waits for the sun",
            lambda state: (
                connector(state, "CP4")["limit"] == 0
                and connector(state, "CP4")["current_a"][0] == 0
            ),
            within_s=60,
        )
        # The house and the garage take 6 A per phase, 3.9 kW; what the sun gives more is surplus.
        await site.command("solar", id="roof", power_w=10800)
        started_s = await site.wait(
            "CP4 charges from surplus",
            lambda state: connector(state, "CP4")["current_a"][0] > 5.5,
            within_s=30,
        )
        await site.wait(
            "CP4 takes about 6.9 kW",
            lambda state: 9.0 < connector(state, "CP4")["current_a"][0] <= 10.0,
            within_s=60,
        )
        reason = await site.entity("sensor.cp4_limited_by")
        assert reason["state"] == "pv_surplus"
        await site.command("solar", id="roof", power_w=9300)
        followed_s = await site.wait(
            "CP4 follows down to about 5.4 kW",
            lambda state: 7.0 < connector(state, "CP4")["current_a"][0] <= 7.8,
            within_s=15,
        )
        site.note(
            f"(d) started {started_s:.1f} s after the sun came out (start delay 5 s), followed it down in {followed_s:.1f} s"
        )
    finally:
        await site.call(
            "select.select_option", entity_id="select.cp4_charging_mode", option="fast"
        )
        await site.call(
            "switch.turn_off", entity_id="switch.e2e_site_pv_surplus_charging"
        )
        for name in ("cp1", "cp2", "cp3"):
            await site.call("switch.turn_on", entity_id=f"switch.{name}_charging")


async def test_e_charge_points_fall_to_their_floor_when_we_die_s5_s11(
    site: E2E,
) -> None:
    """Killed without a word: each charge point falls back alone; after the restart its transaction goes on, once."""
    await site.settle()
    before = await site.state()
    transactions = {
        name: connector(before, name)["transaction"]["id"]
        for name in before["charge_points"]
    }
    await site.demo.home_assistant.kill()
    floored_s = await site.wait(
        "all on their floor", all_on_floor, within_s=PROFILE_LIFE_S + SLACK_S
    )
    await site.demo.home_assistant.start()
    raised_s = await site.wait("raised again", above_floor, within_s=120)
    after = await site.state()
    assert transactions == {
        name: connector(after, name)["transaction"]["id"]
        for name in after["charge_points"]
    }
    records = session_records(site)
    running = [record for record in records if record["stopped_at"] is None]
    assert sorted(record["id"] for record in running) == sorted(transactions.values())
    site.note(
        f"(e) all on their floor {floored_s:.1f} s after SIGKILL (profile life {PROFILE_LIFE_S} s), "
        f"above it {raised_s:.1f} s after the restart; {len(running)} transactions run on, none doubled"
    )


def session_records(site: E2E) -> list[dict[str, Any]]:
    """Return the session records as they are on the disk."""
    path = site.demo.home_assistant.config_dir / "reev_ems_sessions.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM sessions")]


async def test_f_swapped_priorities_swap_the_permits(site: E2E) -> None:
    """Who is more important gets more, and a person changes it with an action."""
    await site.settle()
    # Little room in the garage: 40 − 16 = 24 A for two three-phase cars, and CP3 on L2.
    await site.set_base("garage", 16, 2, 2)

    async def prefer(first: str, second: str) -> float:
        for name, value in ((first, 8), (second, 2)):
            await site.call(
                "number.set_value", entity_id=f"number.{name}_priority", value=value
            )
        return await site.wait(
            f"{first} before {second}",
            lambda state: (
                connector(state, first.upper())["limit"]
                > connector(state, second.upper())["limit"] + 8
                and worst_over_a(state) <= 0
            ),
            within_s=60,
        )

    try:
        await prefer("cp1", "cp2")
        swapped_s = await prefer("cp2", "cp1")
        site.note(f"(f) permits swapped {swapped_s:.1f} s after the priorities")
    finally:
        for name in ("cp1", "cp2"):
            await site.call(
                "number.set_value", entity_id=f"number.{name}_priority", value=5
            )

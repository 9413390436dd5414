"""What goes beyond permits against an overload, on the wire of both versions."""

import asyncio
import logging
from typing import Any

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.reev_ems.charge_points import measures
from custom_components.reev_ems.coordinator import ReevCoordinator
from custom_components.reev_ems.energy_management.decision import Action, Command
from custom_components.reev_ems.energy_management.observation import ConnectorState
from custom_components.reev_ems.ocpp_server import ConnectorView
from custom_components.reev_ems.site.kept import async_take_kept
from simulator.outlets import Outlet, Status
from simulator.site import Site

from .charger import ACCEPTED, Charger
from .site import set_up, until

CARDS = {"CP16": "CARD-16", "CP201": "CARD-201"}


def halt(entry: MockConfigEntry) -> ReevCoordinator:
    """Let the loop stand still: commands are those of the test."""
    (loop,) = [
        task for task in entry._background_tasks if "control loop" in task.get_name()
    ]
    loop.cancel()
    coordinator: ReevCoordinator = entry.runtime_data
    return coordinator


def permit(coordinator: ReevCoordinator, name: str, permit_a: float) -> None:
    """Command a permit."""
    at_s = coordinator.data.decision.at_s
    coordinator._carry_out(
        Command(connector=f"{name}:1", permit_a=permit_a, expires_s=at_s + 300), at_s
    )


def act(coordinator: ReevCoordinator, name: str, action: Action) -> None:
    """Command an action, as every turn of the loop may do."""
    at_s = coordinator.data.decision.at_s
    for _ in range(3):
        coordinator._carry_out(Command(connector=f"{name}:1", action=action), at_s)


def view(coordinator: ReevCoordinator, name: str) -> ConnectorView:
    """Return what a charge point said of its connector."""
    return coordinator.server.charge_points[name].connectors[1]


def outlet(running: Site, name: str) -> Outlet:
    """Return the outlet of a simulated charge point."""
    found = running.charge_points[name].outlet(1)
    assert found
    return found


@pytest.fixture
async def charging(plant: tuple[Site, MockConfigEntry]) -> ReevCoordinator:
    """Both versions charge, and nobody steers but the test."""
    running, entry = plant
    await until(
        lambda: all(point.online for point in running.charge_points.values()),
        "not connected",
    )
    for name, card in CARDS.items():
        running.charge_points[name].present(outlet(running, name), card)
    await until(
        lambda: all(view(entry.runtime_data, name).transaction for name in CARDS),
        "no transactions",
    )
    coordinator = halt(entry)
    for name in CARDS:
        permit(coordinator, name, 6.0)
        await until(
            lambda name=name: view(coordinator, name).state is ConnectorState.CHARGING,
            "no charging",
        )
    return coordinator


async def test_s13_transactions_are_stopped_and_go_on_with_the_next_permit(
    plant: tuple[Site, MockConfigEntry], charging: ReevCoordinator
) -> None:
    """Once, however often it is commanded; for the same card, as soon as there is something to charge with."""
    running, _ = plant
    for name, card in CARDS.items():
        first = outlet(running, name).transaction
        assert first
        permit(charging, name, 0.0)
        act(charging, name, Action.STOP)
        await until(lambda name=name: not outlet(running, name).transaction, "it runs")
        await until(
            lambda name=name: (
                view(charging, name).state is ConnectorState.SUSPENDED_EVSE
                and outlet(running, name).status
                in running.charge_points[name].startable
            ),
            "no pause",
        )
        assert first.stop_reason == "Remote"
        act(charging, name, Action.STOP)
        permit(charging, name, 10.0)
        await until(
            lambda name=name: outlet(running, name).transaction is not None,
            "it does not go on",
        )
        second = outlet(running, name).transaction
        assert second
        assert second.id_tag.casefold() == card.casefold()


async def test_s13_connectors_are_taken_out_of_service_and_back(
    hass: HomeAssistant,
    plant: tuple[Site, MockConfigEntry],
    charging: ReevCoordinator,
) -> None:
    """Which ones is remembered until they are back."""
    running, entry = plant
    for name in CARDS:
        permit(charging, name, 0.0)
        act(charging, name, Action.STOP)
        await until(lambda name=name: not outlet(running, name).transaction, "it runs")
        act(charging, name, Action.INOPERATIVE)
    assert charging.controls.out_of_service == ("CP16:1", "CP201:1")
    for name in CARDS:
        await until(
            lambda name=name: outlet(running, name).status is Status.UNAVAILABLE,
            "in service",
        )
    act(charging, "CP16", Action.OPERATIVE)
    await until(lambda: outlet(running, "CP16").operative, "out of service")
    await until(
        lambda: charging.controls.out_of_service == ("CP201:1",), "not remembered"
    )

    # A reload keeps what the decisions know; a restart does not, and nothing may be out of service for good.
    await set_up(hass, entry)
    assert not outlet(running, "CP201").operative
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert async_take_kept(hass, entry.entry_id) is not None
    await set_up(hass, entry)
    await until(lambda: outlet(running, "CP201").operative, "still out of service")
    await until(
        lambda: entry.runtime_data.controls.out_of_service == (), "still remembered"
    )


async def test_what_a_charge_point_refuses_is_told_once_and_tried_again(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until it works, or something else is wanted."""
    monkeypatch.setattr(measures, "RETRY_S", 0.05)
    coordinator = halt(entry)
    caplog.set_level(logging.INFO)
    answers: dict[str, Any] = {"status": "Rejected"}
    async with Charger(
        entry.data["ocpp_port"],
        "CP-LEFT",
        answers={"ChangeAvailability": lambda _: answers},
    ) as charger:

        def asked(kind: str) -> int:
            return charger.asked.count(
                ("ChangeAvailability", {"connectorId": 1, "type": kind})
            )

        act(coordinator, "CP-LEFT", Action.INOPERATIVE)
        await until(lambda: asked("Inoperative") > 3, "not tried again")
        act(coordinator, "CP-LEFT", Action.OPERATIVE)
        await until(lambda: asked("Operative") > 3, "not tried")
        lines = [line for line in caplog.messages if "CP-LEFT:1" in line]
        assert len(lines) == 1
        assert "inoperative" in lines[0]
        answers |= ACCEPTED
        await until(lambda: not coordinator._measures.pending, "not done")
        assert coordinator.controls.out_of_service == ()
        lines = [line for line in caplog.messages if "CP-LEFT:1" in line]
        assert len(lines) == 2


async def test_s13_permits_do_not_wait_behind_a_stop(
    entry: MockConfigEntry,
) -> None:
    """What waits for its turn on the wire gives way to profiles."""
    coordinator = halt(entry)
    async with Charger(entry.data["ocpp_port"], "CP-LEFT") as charger:
        await charger.status("Preparing")
        await charger.start(tag="CARD-ADA")
        permit(coordinator, "CP-LEFT", 9.0)
        point = coordinator.server.charge_points["CP-LEFT"]
        await until(lambda: point.connectors[1].permit is not None, "no permit")
        charger.asked.clear()
        # One call is under way at a time: both wait behind it.
        waiting = asyncio.create_task(point.clear_cache())
        await asyncio.sleep(0)
        act(coordinator, "CP-LEFT", Action.STOP)
        await asyncio.sleep(0)
        permit(coordinator, "CP-LEFT", 0.0)
        await until(
            lambda: "RemoteStopTransaction" in [action for action, _ in charger.asked],
            "not stopped",
        )
        await waiting
        actions = [action for action, _ in charger.asked]
        assert actions[:3] == [
            "ClearCache",
            "SetChargingProfile",
            "RemoteStopTransaction",
        ]

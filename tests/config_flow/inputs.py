"""What a person enters, and what is stored of it."""

import socket
from typing import Any

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlowResult,
    SubentryFlowContext,
    SubentryFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
import pytest

from custom_components.reev_ems.const import DOMAIN

from .texts import check_errors, check_texts

PROFILE = "janitza_umg604"
PASSWORD = "correct horse 17"


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def meter_data(host: str, *, circuit: str, **changes: Any) -> dict[str, Any]:
    """Return a meter as it is stored."""
    return {
        "circuit": circuit,
        "profile": PROFILE,
        "host": host,
        "port": 502,
        "unit_id": 1,
        "poll_s": 1.0,
        "invert": False,
        "phase_order": ["L1", "L2", "L3"],
        **changes,
    }


def subentry_id(entry: ConfigEntry, title: str) -> str:
    """Return the id of the subentry with a title."""
    (found,) = (key for key, item in entry.subentries.items() if item.title == title)
    return str(found)


def site_input(**changes: Any) -> dict[str, Any]:
    """Return the first form of a site, filled in."""
    return {
        "name": "Depot",
        "limit_a": 63,
        "phase_limits": {},
        "imbalance_limit_a": 20,
        "ocpp_port": free_port(),
        **changes,
    }


def meter_input(port: int, **changes: Any) -> dict[str, Any]:
    """Return the form of a meter's connection, filled in."""
    return {
        "profile": PROFILE,
        "host": "127.0.0.1",
        "port": port,
        "unit_id": 1,
        "poll_s": 1,
        **changes,
    }


def confirmation(**changes: Any) -> dict[str, Any]:
    """Return the confirmation of a meter's values, filled in."""
    return {
        "name": "Grid meter",
        "invert": False,
        "phase_order": "l1_l2_l3",
        "inverted_phases": [],
        "ratio": 1.0,
        "read_again": False,
        **changes,
    }


def circuit_input(**changes: Any) -> dict[str, Any]:
    """Return the form of a circuit, filled in."""
    return {
        "name": "Roof",
        "parent": "main",
        "limit_a": 40,
        "phase_limits": {},
        "reserve_a": 0,
        **changes,
    }


def charge_point_input(**changes: Any) -> dict[str, Any]:
    """Return the form of a charge point, filled in."""
    return {
        "charge_point_id": "CP1",
        "name": "Left",
        "circuit": "main",
        "connector_count": 1,
        "security": {},
        **changes,
    }


def connector_input(**changes: Any) -> dict[str, Any]:
    """Return the form of a connector, filled in."""
    return {
        "supply": "ac",
        "automatic_mode": "solar",
        "ac": {
            "line_phases": "l1_l2_l3",
            "min_a": 6,
            "max_a": 16,
            "can_switch_phases": False,
        },
        "dc": {"min_w": 5000, "max_w": 50000},
        **changes,
    }


def security_input(profile: str, source: str = "generated") -> dict[str, str]:
    """Return the first form of a port's security, filled in."""
    return {"security_profile": profile, "certificate_source": source}


def user_input(**changes: Any) -> dict[str, Any]:
    """Return the form of a user, filled in."""
    return {
        "name": "Ada",
        "id_tags": ["04A2B3"],
        "priority": 5,
        "enabled": True,
        **changes,
    }


def user_group_input(**changes: Any) -> dict[str, Any]:
    """Return the form of a group of users, filled in."""
    return {"name": "Fleet", "priority": 5, "phase_limits": {}, **changes}


class Form:
    """A form flow that is filled in step by step; each call checks what comes next."""

    def __init__(
        self, hass: HomeAssistant, flow: str, result: Any, kind: str | None = None
    ) -> None:
        """Begin with the first form; flow and kind as in the texts."""
        self._hass = hass
        self._flow = flow
        self._kind = kind
        self._manager: Any = {
            "config": hass.config_entries.flow,
            "options": hass.config_entries.options,
            "config_subentries": hass.config_entries.subentries,
        }[flow]
        self._take(result)

    def _take(self, result: Any) -> None:
        """Go on with what a step answered."""
        self.result = result
        check_texts(self._kind, self._flow, result)

    @property
    def placeholders(self) -> dict[str, str]:
        """What the form's text is filled with."""
        placeholders: dict[str, str] = self.result["description_placeholders"]
        return placeholders

    @property
    def suggested(self) -> dict[str, Any]:
        """The values that the form starts from, sections nested."""
        return _suggested(self.result["data_schema"])

    def shows(self, step_id: str, errors: dict[str, str] | None = None) -> None:
        """Check that a form is shown, with these errors and no others."""
        assert self.result["type"] is FlowResultType.FORM, self.result
        assert self.result["step_id"] == step_id
        assert (self.result["errors"] or {}) == (errors or {}), self.placeholders

    async def submit(
        self, user_input: dict[str, Any], step_id: str | None = None, **errors: str
    ) -> None:
        """Fill in the form; check which one comes next."""
        self._take(
            await self._manager.async_configure(self.result["flow_id"], user_input)
        )
        await self._hass.async_block_till_done()
        if step_id is not None:
            self.shows(step_id, errors)

    async def refused(self, user_input: dict[str, Any], **errors: str) -> None:
        """Fill in the form with what its fields do not take; check which error is shown at which of them.

        The browser looks each up as an error of the flow.
        """
        with pytest.raises(InvalidData) as refused:
            await self._manager.async_configure(self.result["flow_id"], user_input)
        assert refused.value.schema_errors == errors
        check_errors(self._kind, self._flow, errors)

    async def choose(self, option: str) -> None:
        """Take an option of a menu, which leads to the step of that name."""
        assert self.result["type"] is FlowResultType.MENU, self.result
        assert option in self.result["menu_options"]
        await self.submit({"next_step_id": option}, option)

    async def progress(self, step_id: str, **errors: str) -> None:
        """Wait for what is shown as progress to end; check which form comes next."""
        assert self.result["type"] is FlowResultType.SHOW_PROGRESS, self.result
        await self._hass.async_block_till_done()
        self._take(await self._manager.async_configure(self.result["flow_id"]))
        self.shows(step_id, errors)

    def created(self) -> Any:
        """Check that something was created, and return the result."""
        assert self.result["type"] is FlowResultType.CREATE_ENTRY, self.result
        return self.result

    def aborted(self, reason: str) -> None:
        """Check that the flow ended for a reason."""
        assert self.result["type"] is FlowResultType.ABORT, self.result
        assert self.result["reason"] == reason


async def open_site(hass: HomeAssistant) -> Form:
    """Begin to add a site."""
    manager = hass.config_entries.flow
    result: ConfigFlowResult = await manager.async_init(
        DOMAIN, context={"source": "user"}
    )
    return Form(hass, "config", result)


async def open_reconfigure(
    hass: HomeAssistant, entry: ConfigEntry, choice: str = "grid_connection"
) -> Form:
    """Begin to reconfigure a site, with a choice of its menu."""
    manager = hass.config_entries.flow
    result = await manager.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    form = Form(hass, "config", result)
    await form.choose(choice)
    return form


async def open_discovery(hass: HomeAssistant, data: dict[str, Any]) -> Form:
    """Let a charge point be discovered."""
    manager = hass.config_entries.flow
    result = await manager.async_init(
        DOMAIN, context={"source": "integration_discovery"}, data=data
    )
    return Form(hass, "config", result)


async def open_options(hass: HomeAssistant, entry: ConfigEntry) -> Form:
    """Begin to change the options."""
    manager = hass.config_entries.options
    return Form(hass, "options", await manager.async_init(entry.entry_id))


async def open_subentry(
    hass: HomeAssistant, entry: ConfigEntry, kind: str, change: str | None = None
) -> Form:
    """Begin to add a subentry, or to change the one with the id."""
    manager = hass.config_entries.subentries
    context = SubentryFlowContext(source="user")
    if change is not None:
        context = SubentryFlowContext(source="reconfigure", subentry_id=change)
    result: SubentryFlowResult = await manager.async_init(
        (entry.entry_id, kind), context=context
    )
    return Form(hass, "config_subentries", result, kind)


async def add_charge_point(
    hass: HomeAssistant, entry: ConfigEntry, password: str | None = None
) -> None:
    """Add a charge point through its forms."""
    form = await open_subentry(hass, entry, "charge_point")
    security = {"password": password} if password else {}
    await form.submit(charge_point_input(security=security), "connector")
    if password:
        await form.submit(connector_input(), "credentials")
        await form.submit({})
    else:
        await form.submit(connector_input())
    form.created()


def without_meter(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Remove the meter, whose address is nobody's."""
    hass.config_entries.async_remove_subentry(entry, subentry_id(entry, "Grid meter"))


def _suggested(schema: Any) -> dict[str, Any]:
    """Return the suggested values of a form, those of its sections nested; else the defaults."""
    found: dict[str, Any] = {}
    for key, value in schema.schema.items():
        if hasattr(value, "options") and hasattr(value, "schema"):
            found[str(key)] = _suggested(value.schema)
        elif key.description and "suggested_value" in key.description:
            found[str(key)] = key.description["suggested_value"]
        elif callable(key.default):
            found[str(key)] = key.default()
    return found

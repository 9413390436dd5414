"""The ways to fix what repair issues are about.

No fix is believed: an issue goes when what it is about is over, and not before.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, override

from homeassistant.components.repairs import (
    ConfirmRepairFlow,
    FlowType,
    RepairsFlow,
    RepairsFlowResult,
)
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntryState,
    SubentryFlowContext,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import probatio

from .const import (
    CONF_CONNECTORS,
    CONF_NUMBER,
    CONF_PHASES,
    DOMAIN,
    SUBENTRY_CHARGE_POINT,
)
from .coordinator import ReevConfigEntry
from .issues import REMEDY_FORM
from .ocpp_server import CallError
from .records import RECORDS_DAMAGED


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the dialog that fixes an issue."""
    if issue_id.startswith(RECORDS_DAMAGED):
        # Nothing is left to be done but to know of it.
        return ConfirmRepairFlow()
    if data is None:
        raise ValueError(f"nothing is known that fixes {issue_id}")
    entry_id, subentry_id = str(data["entry_id"]), str(data["subentry_id"])
    subentry_type = str(data["subentry_type"])
    if "phases" in data:
        phases = str(data["phases"]).split(",")
        return LinePhasesFlow(entry_id, subentry_id, int(str(data["number"])), phases)
    if subentry_type == SUBENTRY_CHARGE_POINT and not data.get(REMEDY_FORM):
        return RestartFlow(entry_id, subentry_id)
    return FormFlow(entry_id, subentry_id, subentry_type)


class _SubentryFlow(RepairsFlow):
    """A dialog about a subentry, that explains before it does something."""

    def __init__(self, entry_id: str, subentry_id: str) -> None:
        """Initialize."""
        self.entry_id = entry_id
        self.subentry_id = subentry_id

    async def async_step_init(
        self, user_input: Mapping[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: Mapping[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Explain, then do it."""
        entry: ReevConfigEntry | None = self.hass.config_entries.async_get_entry(
            self.entry_id
        )
        if (
            entry is None
            or entry.state is not ConfigEntryState.LOADED
            or self.subentry_id not in entry.subentries
        ):
            return self.async_abort(reason="not_loaded")
        if user_input is not None:
            return await self.async_fix(entry)
        issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id)
        return self.async_show_form(
            step_id="confirm",
            data_schema=probatio.Schema({}),
            description_placeholders=issue.translation_placeholders if issue else None,
        )

    @abstractmethod
    async def async_fix(self, entry: ReevConfigEntry) -> RepairsFlowResult:
        """Do what may help."""


class LinePhasesFlow(_SubentryFlow):
    """Sets the wiring of a connector to what its cars have shown."""

    def __init__(
        self, entry_id: str, subentry_id: str, number: int, phases: list[str]
    ) -> None:
        """Initialize."""
        super().__init__(entry_id, subentry_id)
        self.number = number
        self.phases = phases

    @override
    async def async_fix(self, entry: ReevConfigEntry) -> RepairsFlowResult:
        """Change the setting; the site takes it up with the reload that follows."""
        subentry = entry.subentries[self.subentry_id]
        connectors = [
            item | {CONF_PHASES: self.phases}
            if item[CONF_NUMBER] == self.number
            else item
            for item in subentry.data[CONF_CONNECTORS]
        ]
        self.hass.config_entries.async_update_subentry(
            entry, subentry, data={**subentry.data, CONF_CONNECTORS: connectors}
        )
        return self.async_create_entry(data={})


class RestartFlow(_SubentryFlow):
    """Restarts a charge point: it comes back with clean charging profiles."""

    @override
    async def async_fix(self, entry: ReevConfigEntry) -> RepairsFlowResult:
        """Restart it."""
        try:
            await entry.runtime_data.charge_points[self.subentry_id].reset()
        except CallError as err:
            return self.async_abort(
                reason="restart_failed",
                description_placeholders={"detail": err.detail or err.key},
            )
        return self.async_abort(reason="restarted")


class FormFlow(_SubentryFlow):
    """Leads to the form in which a meter, a circuit or a charge point is changed."""

    def __init__(self, entry_id: str, subentry_id: str, subentry_type: str) -> None:
        """Initialize."""
        super().__init__(entry_id, subentry_id)
        self.subentry_type = subentry_type

    @override
    async def async_fix(self, entry: ReevConfigEntry) -> RepairsFlowResult:
        """Open the form."""
        form = await self.hass.config_entries.subentries.async_init(
            (entry.entry_id, self.subentry_type),
            context=SubentryFlowContext(
                source=SOURCE_RECONFIGURE, subentry_id=self.subentry_id
            ),
        )
        return self.async_abort(
            reason=f"{self.subentry_type}_form",
            next_flow=(FlowType.CONFIG_SUBENTRIES_FLOW, form["flow_id"]),
        )

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
from .flows.charge_point_setup import LOGIN_KEYS
from .issues.found import REMEDY_FORM, REMEDY_WITHOUT_PASSWORD
from .ocpp_server import CallError
from .readings.correction import KEY_CORRECTION, proposed, set_right
from .site.records import RECORDS_DAMAGED


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
    if KEY_CORRECTION in data:
        return MeterCorrectionFlow(entry_id, subentry_id, data)
    if data.get(REMEDY_WITHOUT_PASSWORD):
        return WithoutPasswordFlow(entry_id, subentry_id)
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


class MeterCorrectionFlow(_SubentryFlow):
    """Sets a meter right that contradicts what is behind it."""

    def __init__(
        self, entry_id: str, subentry_id: str, issue_data: Mapping[str, Any]
    ) -> None:
        """Initialize."""
        super().__init__(entry_id, subentry_id)
        self.issue_data = issue_data

    @override
    async def async_fix(self, entry: ReevConfigEntry) -> RepairsFlowResult:
        """Add the correction to that of the meter; what was read with other settings proves nothing any more."""
        subentry = entry.subentries[self.subentry_id]
        change = proposed(self.issue_data, subentry.data)
        if change is None:
            return self.async_abort(reason="changed_meanwhile")
        self.hass.config_entries.async_update_subentry(
            entry, subentry, data=set_right(subentry.data, change)
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


class WithoutPasswordFlow(_SubentryFlow):
    """Does without the password that a charge point does not use."""

    @override
    async def async_fix(self, entry: ReevConfigEntry) -> RepairsFlowResult:
        """Forget the password; the site takes that up at once."""
        subentry = entry.subentries[self.subentry_id]
        data = {
            key: value for key, value in subentry.data.items() if key not in LOGIN_KEYS
        }
        self.hass.config_entries.async_update_subentry(entry, subentry, data=data)
        return self.async_create_entry(data={})


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

"""The forms of a circuit: a distribution board or a charging group with limits of its own."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import TextSelector
import probatio

from ..const import (
    CONF_LIMIT_A,
    CONF_LIMIT_W,
    CONF_PARENT,
    CONF_RESERVE_A,
    ROOT_CIRCUIT,
    SUBENTRY_CIRCUIT,
)
from ..energy_management.tree import is_below
from .fields import (
    amperes,
    circuit_choice,
    limit_fields,
    name_error,
    nature_fields,
    nature_of,
    show_limits,
    take_limits,
    with_errors_open,
)
from .site import (
    NEW_SUBENTRY,
    NO_FLOOR_PROBLEM,
    circuit_names,
    circuit_parents,
    draft_site,
    draft_subentry,
    existing_circuit,
    floor_problem,
)


class CircuitSubentryFlow(ConfigSubentryFlow):
    """Add a circuit, or change it."""

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for a new circuit."""
        return self._show_or_save("user", user_input, {CONF_PARENT: ROOT_CIRCUIT})

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the circuit's limits and place again."""
        subentry = self._get_reconfigure_subentry()
        return self._show_or_save(
            "reconfigure",
            user_input,
            {
                CONF_NAME: subentry.title,
                CONF_PARENT: existing_circuit(
                    self._get_entry(), subentry.data[CONF_PARENT]
                ),
                **show_limits(subentry.data),
                CONF_RESERVE_A: max(subentry.data[CONF_RESERVE_A]),
                **nature_of(subentry.data),
            },
        )

    def _show_or_save(
        self,
        step_id: str,
        user_input: dict[str, Any] | None,
        suggested: Mapping[str, Any],
    ) -> SubentryFlowResult:
        """Show the form until what is entered can be saved."""
        entry = self._get_entry()
        subentry_id = self.context.get("subentry_id", NEW_SUBENTRY)
        names = {
            key: name
            for key, name in circuit_names(self.hass, entry).items()
            if key != subentry_id
        }
        errors: dict[str, str] = {}
        placeholders = NO_FLOOR_PROBLEM
        if user_input is not None:
            title, data, errors = self._take(user_input, names, subentry_id)
            if not errors:
                draft = draft_subentry(
                    SUBENTRY_CIRCUIT, data, title=title, subentry_id=subentry_id
                )
                if problem := floor_problem(
                    self.hass,
                    draft_site(entry),
                    draft_site(entry, subentry=draft),
                    {**names, subentry_id: title},
                ):
                    placeholders = problem
                    errors[CONF_LIMIT_A] = "floors_over_limit"
            if not errors:
                if step_id == "user":
                    return self.async_create_entry(title=title, data=data)
                return self.async_update_and_abort(
                    entry, self._get_reconfigure_subentry(), title=title, data=data
                )
        schema = probatio.Schema(
            {
                probatio.Required(CONF_NAME): TextSelector(),
                probatio.Required(CONF_PARENT): circuit_choice(names),
                **limit_fields(required=False),
                probatio.Required(CONF_RESERVE_A, default=0): amperes(
                    0, 10_000, "reserve_out_of_range"
                ),
                **nature_fields(),
            }
        )
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                with_errors_open(schema, errors), user_input or suggested
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    def _take(
        self, user_input: Mapping[str, Any], names: Mapping[str, str], subentry_id: str
    ) -> tuple[str, dict[str, Any], dict[str, str]]:
        """Return the name, what to store, and the errors by field."""
        limits, errors = take_limits(user_input)
        if not errors and limits[CONF_LIMIT_A] is None and limits[CONF_LIMIT_W] is None:
            errors[CONF_LIMIT_A] = "limit_missing"
        title = user_input[CONF_NAME].strip()
        # The site's device has the site's name.
        if error := name_error(title, (*names.values(), self._get_entry().title)):
            errors[CONF_NAME] = error
        parent = user_input[CONF_PARENT]
        if parent not in names:
            errors[CONF_PARENT] = "unknown_circuit"
        elif is_below(circuit_parents(self._get_entry()), parent, subentry_id):
            errors[CONF_PARENT] = "circuit_cycle"
        data = {
            CONF_PARENT: parent,
            **limits,
            CONF_RESERVE_A: [user_input[CONF_RESERVE_A]] * 3,
            **nature_of(user_input),
        }
        return title, data, errors

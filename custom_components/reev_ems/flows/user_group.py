"""The forms of a group of users: what they have in common."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import TextSelector
import probatio

from ..const import CONF_PRIORITY, SUBENTRY_USER_GROUP
from .fields import (
    DEFAULT_PRIORITY,
    limit_fields,
    name_error,
    priority_slider,
    show_limits,
    take_limits,
    with_errors_open,
)
from .site import names_of


class UserGroupSubentryFlow(ConfigSubentryFlow):
    """Add a group of users, or change one."""

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for a new group."""
        return self._show_or_save("user", user_input, {})

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the group's priority and limits again."""
        subentry = self._get_reconfigure_subentry()
        return self._show_or_save(
            "reconfigure",
            user_input,
            {
                CONF_NAME: subentry.title,
                CONF_PRIORITY: subentry.data[CONF_PRIORITY],
                **show_limits(subentry.data),
            },
        )

    def _show_or_save(
        self,
        step_id: str,
        user_input: dict[str, Any] | None,
        suggested: Mapping[str, Any],
    ) -> SubentryFlowResult:
        """Show the form until what is entered can be saved."""
        errors: dict[str, str] = {}
        if user_input is not None:
            limits, errors = take_limits(user_input)
            title = user_input[CONF_NAME].strip()
            others = names_of(
                self._get_entry(),
                SUBENTRY_USER_GROUP,
                without=self.context.get("subentry_id"),
            )
            if error := name_error(title, others.values()):
                errors[CONF_NAME] = error
            if not errors:
                data = {CONF_PRIORITY: user_input[CONF_PRIORITY], **limits}
                if step_id == "user":
                    return self.async_create_entry(title=title, data=data)
                return self.async_update_and_abort(
                    self._get_entry(),
                    self._get_reconfigure_subentry(),
                    title=title,
                    data=data,
                )
        schema = probatio.Schema(
            {
                probatio.Required(CONF_NAME): TextSelector(),
                probatio.Required(
                    CONF_PRIORITY, default=DEFAULT_PRIORITY
                ): priority_slider(),
                **limit_fields(required=False),
            }
        )
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                with_errors_open(schema, errors), user_input or suggested
            ),
            errors=errors,
        )

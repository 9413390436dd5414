"""The forms of a user: who presents which tags, and what that means for the sharing."""

from collections.abc import Mapping
import re
from typing import Any

from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
from homeassistant.util import dt as dt_util
import probatio

from ..const import (
    CONF_ENABLED,
    CONF_GROUP,
    CONF_ID_TAGS,
    CONF_PERSON,
    CONF_PRIORITY,
    SUBENTRY_USER,
    SUBENTRY_USER_GROUP,
)
from ..site.people import async_presented, tag_key
from .fields import DEFAULT_PRIORITY, name_error, named_choice, priority_slider
from .site import names_of

# OCPP 2.0.1 takes 36 characters; 1.6 takes 20, so that a longer tag never comes from there.
_ID_TAG = re.compile(r"[!-~](?:[ -~]{0,34}[!-~])?")


class UserSubentryFlow(ConfigSubentryFlow):
    """Add a user, or change one."""

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for a new user."""
        return self._show_or_save("user", user_input, {})

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask again."""
        subentry = self._get_reconfigure_subentry()
        shown = {CONF_NAME: subentry.title, **subentry.data}
        if shown[CONF_GROUP] not in self._groups:
            del shown[CONF_GROUP]
        return self._show_or_save("reconfigure", user_input, shown)

    @property
    def _groups(self) -> dict[str, str]:
        """The names of the groups."""
        return names_of(self._get_entry(), SUBENTRY_USER_GROUP)

    @property
    def _own_id(self) -> str | None:
        """The subentry that is changed; None while one is added."""
        subentry_id: str | None = self.context.get("subentry_id")
        return subentry_id

    def _show_or_save(
        self,
        step_id: str,
        user_input: dict[str, Any] | None,
        suggested: Mapping[str, Any],
    ) -> SubentryFlowResult:
        """Show the form until what is entered can be saved."""
        errors: dict[str, str] = {}
        placeholders = {"id_tag": "", "other": ""}
        if user_input is not None:
            title = user_input[CONF_NAME].strip()
            id_tags = [tag.strip() for tag in user_input[CONF_ID_TAGS]]
            group = user_input.get(CONF_GROUP)
            others = names_of(self._get_entry(), SUBENTRY_USER, without=self._own_id)
            if error := name_error(title, others.values()):
                errors[CONF_NAME] = error
            error, placeholders = self._tag_error(id_tags)
            if error:
                errors[CONF_ID_TAGS] = error
            if group is not None and group not in self._groups:
                errors[CONF_GROUP] = "unknown_group"
            if not errors:
                data = {
                    CONF_ID_TAGS: id_tags,
                    CONF_GROUP: group,
                    CONF_PRIORITY: user_input[CONF_PRIORITY],
                    CONF_ENABLED: user_input[CONF_ENABLED],
                }
                if person := user_input.get(CONF_PERSON):
                    data[CONF_PERSON] = person
                if step_id == "user":
                    return self.async_create_entry(title=title, data=data)
                return self.async_update_and_abort(
                    self._get_entry(),
                    self._get_reconfigure_subentry(),
                    title=title,
                    data=data,
                )
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                self._schema(), user_input or suggested
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    def _schema(self) -> probatio.Schema:
        """Return the form, with the tags to choose from that were presented and are nobody's yet."""
        return probatio.Schema(
            {
                probatio.Required(CONF_NAME): TextSelector(),
                # Without a default the browser would choose the first card of the list, be it whose it may.
                probatio.Required(CONF_ID_TAGS, default=list): SelectSelector(
                    SelectSelectorConfig(
                        options=self._presented(),
                        multiple=True,
                        custom_value=True,
                        mode=SelectSelectorMode.DROPDOWN,
                    )
                ),
                probatio.Optional(CONF_GROUP): named_choice(self._groups),
                probatio.Required(
                    CONF_PRIORITY, default=DEFAULT_PRIORITY
                ): priority_slider(),
                probatio.Required(CONF_ENABLED, default=True): BooleanSelector(),
                probatio.Optional(CONF_PERSON): EntitySelector(
                    EntitySelectorConfig(domain="person")
                ),
            }
        )

    def _presented(self) -> list[SelectOptionDict]:
        """Return the tags that were held to a reader, with where and when."""
        entry = self._get_entry()
        taken = self._taken_tags()
        return [
            SelectOptionDict(
                value=item.id_tag,
                label=f"{item.id_tag} ({entry.subentries[item.charge_point].title}, "
                f"{dt_util.as_local(item.at):%H:%M})",
            )
            for item in async_presented(self.hass, entry.entry_id)
            if tag_key(item.id_tag) not in taken
            and item.charge_point in entry.subentries
        ]

    def _taken_tags(self) -> dict[str, str]:
        """Return whose every tag is, but for those of the user who is being changed."""
        return {
            tag_key(id_tag): subentry.title
            for subentry in self._get_entry().get_subentries_of_type(SUBENTRY_USER)
            if subentry.subentry_id != self._own_id
            for id_tag in subentry.data[CONF_ID_TAGS]
        }

    def _tag_error(self, id_tags: list[str]) -> tuple[str | None, dict[str, str]]:
        """Return the error key of the tags, and the tag and the other user that it is about."""
        taken = self._taken_tags()
        seen = set()
        for id_tag in id_tags:
            key = tag_key(id_tag)
            about = {"id_tag": id_tag, "other": taken.get(key, "")}
            if not _ID_TAG.fullmatch(id_tag):
                return "id_tag_invalid", about
            if key in taken:
                return "id_tag_in_use", about
            if key in seen:
                return "id_tag_twice", about
            seen.add(key)
        return None if id_tags else "id_tag_missing", {"id_tag": "", "other": ""}

"""A register map that a person enters: parsed as the profile files are, and kept as one of them."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import ObjectSelector, TextSelector
from homeassistant.util import slugify
import probatio
import yaml

from ..const import DOMAIN

CONF_MAP = "map"

MAP_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_NAME): TextSelector(),
        probatio.Required(CONF_MAP): ObjectSelector(),
    }
)

# Something to change rather than to write: the least that a meter has to give.
MAP_TEMPLATE: dict[str, Any] = {
    "function_code": 3,
    "type": "float32",
    "word_order": "big",
    "quantities": {
        name: {"address": 2 * index}
        for index, name in enumerate(
            f"{quantity}_{phase}"
            for quantity in ("voltage", "current", "power")
            for phase in ("l1", "l2", "l3")
        )
    },
}


def new_profile(
    name: str, register_map: Mapping[str, Any], taken: Collection[str]
) -> dict[str, Any]:
    """Return the content of a profile file for a map, under an id that is not taken."""
    base = profile_id = f"custom_{slugify(name)}"[:56]
    number = 1
    while profile_id in taken:
        number += 1
        profile_id = f"{base}_{number}"
    return {**register_map, "id": profile_id, "name": name}


async def async_store_profile(hass: HomeAssistant, profile: Mapping[str, Any]) -> None:
    """Write a profile into the configuration directory, from where all profiles of the user are read.

    Raises OSError.
    """
    path = Path(hass.config.path(DOMAIN, "meters", f"{profile['id']}.yaml"))
    text = yaml.safe_dump(dict(profile), allow_unicode=True, sort_keys=False)

    def write() -> None:
        """Write the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    await hass.async_add_executor_job(write)

"""Home Assistant's storage, read also where a newer version of this integration wrote it."""

import sys
from typing import Any, override

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store


class KnownStore(Store[dict[str, Any]]):
    """Gives what was stored as it is: who reads it takes what he knows."""

    def __init__(
        self, hass: HomeAssistant, version: int, key: str, *, private: bool = False
    ) -> None:
        """Initialize; only Home Assistant's user reads what is private."""
        super().__init__(
            hass, version, key, private=private, max_readable_version=sys.maxsize
        )

    @override
    async def _async_migrate_func(
        self, old_major_version: int, old_minor_version: int, old_data: Any
    ) -> dict[str, Any]:
        """Return what a newer version stored; there was no older one."""
        return old_data if isinstance(old_data, dict) else {}

"""What the system information page says about the sites."""

from typing import Any

from homeassistant.components import system_health
from homeassistant.core import HomeAssistant, callback

from .charge_points.listener import DATA
from .const import DOMAIN
from .coordinator import ReevConfigEntry


@callback
def async_register(
    hass: HomeAssistant, register: system_health.SystemHealthRegistration
) -> None:
    """Register the callback of the page."""
    register.async_register_info(system_health_info)


async def system_health_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return how the sites together stand."""
    entries: list[ReevConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    sites = [entry.runtime_data for entry in entries]
    meters = [meter for site in sites for meter in site.data.meters.values()]
    charge_points = [item for site in sites for item in site.charge_points.values()]
    silent = sum(meter.problem is not None for meter in meters)
    connected = sum(charge_point.connected for charge_point in charge_points)
    return {
        "sites": ", ".join(
            f"{site.config_entry.title}: {site.data.decision.state}" for site in sites
        ),
        "meters": f"{len(meters) - silent} of {len(meters)} answer",
        "charge_points": f"{connected} of {len(charge_points)} connected",
        "turned_away": sum(
            server.turned_away + server.dropped
            for server in {site.server for site in sites}
        ),
        "failed_log_ins": sum(
            server.failed_log_ins for server in {site.server for site in sites}
        ),
        "records": hass.data[DATA].sessions.condition.trouble or "on the disk",
    }

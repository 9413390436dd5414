"""Charge points that say too much, in a process of their own: `python -m tests.ocpp_server.flood URL ID ...`."""

import asyncio
from datetime import UTC, datetime
import json
import sys

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

PER_SECOND = 60


async def flood(url: str, charge_point_id: str) -> None:
    """Send meter values, starts and security events, 60 of each in a second, whatever the answers are."""
    async with connect(
        f"{url}/{charge_point_id}",
        subprotocols=[Subprotocol("ocpp1.6")],
        compression=None,
        ping_interval=None,
    ) as socket:

        async def read() -> None:
            async for _ in socket:
                pass

        reading = asyncio.create_task(read())
        number = 0
        while not reading.done():
            number += 1
            now = datetime.now(UTC).isoformat()
            samples = [
                {"value": str(number), "measurand": "Current.Import", "phase": phase}
                for phase in ("L1", "L2", "L3")
            ]
            for action, payload in (
                (
                    "MeterValues",
                    {
                        "connectorId": 1,
                        "meterValue": [{"timestamp": now, "sampledValue": samples}],
                    },
                ),
                (
                    "StartTransaction",
                    {
                        "connectorId": 1,
                        "idTag": "T",
                        "meterStart": number,
                        "timestamp": now,
                    },
                ),
                ("SecurityEventNotification", {"type": "X", "timestamp": now}),
            ):
                await socket.send(json.dumps([2, f"{action}{number}", action, payload]))
            await asyncio.sleep(1 / PER_SECOND)


async def main(url: str, *ids: str) -> None:
    """Flood as all of them until the process is ended."""
    await asyncio.gather(*(flood(url, each) for each in ids))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

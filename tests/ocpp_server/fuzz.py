"""Structure-aware fuzzing of the OCPP server: valid messages with wrong places, and wrong answers to its calls.

`scripts/fuzz-ocpp N [SEED]` sends N frames to a real server on loopback. It fails if a charge point beside them is
not served, a handler breaks, a queued message gets an error, or a measured value comes out impossible.
"""

import argparse
import asyncio
from collections.abc import Callable
import copy
from dataclasses import dataclass, field
import json
import logging
from pathlib import Path
import random
import sys
import tempfile
import time
from typing import Any, override

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from custom_components.reev_ems.ocpp_server import (
    ChargePoint,
    ChargePointConfig,
    OcppServer,
    Permit,
    pace,
    session,
    tls,
)
from custom_components.reev_ems.sessions import SessionLog

FRAMES_PER_CONNECTION = 40
"""Fewer than what costs a connection, so that most frames get as far as the handlers."""
_VERSIONS = ("1.6", "2.0.1", "2.1")
_ANSWER_WAIT_S = 5.0

_AT = "2026-05-05T05:05:05Z"
_SAMPLE = {"value": "16", "measurand": "Current.Import", "phase": "L1", "unit": "A"}
_VALUES = [{"timestamp": _AT, "sampledValue": [_SAMPLE, {"value": "5000"}]}]
_VALUES_2 = [
    {"timestamp": _AT, "sampledValue": [{**_SAMPLE, "value": 16.0}, {"value": 5000}]}
]

_MESSAGES_16: dict[str, dict[str, Any]] = {
    "BootNotification": {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": "1"},
    "Heartbeat": {},
    "Authorize": {"idTag": "TAG"},
    "StatusNotification": {
        "connectorId": 1, "status": "Charging", "errorCode": "NoError", "timestamp": _AT, "info": "i",
    },
    "StartTransaction": {"connectorId": 1, "idTag": "TAG", "meterStart": 10, "timestamp": _AT},
    "StopTransaction": {
        "transactionId": 1, "meterStop": 20, "timestamp": _AT, "reason": "Local", "transactionData": _VALUES,
    },
    "MeterValues": {"connectorId": 1, "transactionId": 1, "meterValue": _VALUES},
    "DataTransfer": {"vendorId": "v", "messageId": "m", "data": "d"},
    "SecurityEventNotification": {"type": "t", "timestamp": _AT},
    "SignCertificate": {"csr": "x"},
    "FirmwareStatusNotification": {"status": "Installing"},
    "SignedFirmwareStatusNotification": {"status": "Installing", "requestId": 1},
    "DiagnosticsStatusNotification": {"status": "Uploading"},
    "LogStatusNotification": {"status": "Uploading", "requestId": 1},
}  # fmt: skip
_MESSAGES_2: dict[str, dict[str, Any]] = {
    "BootNotification": {
        "reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M", "serialNumber": "S"},
    },
    "Heartbeat": {},
    "Authorize": {"idToken": {"idToken": "TAG", "type": "ISO14443"}},
    "StatusNotification": {
        "timestamp": _AT, "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1,
    },
    "TransactionEvent": {
        "eventType": "Updated", "timestamp": _AT, "triggerReason": "MeterValuePeriodic", "seqNo": 1,
        "transactionInfo": {"transactionId": "t", "chargingState": "Charging"},
        "evse": {"id": 1, "connectorId": 1}, "idToken": {"idToken": "TAG", "type": "ISO14443"},
        "meterValue": _VALUES_2,
    },
    "MeterValues": {"evseId": 1, "meterValue": _VALUES_2},
    "NotifyReport": {"requestId": 1, "generatedAt": _AT, "seqNo": 0},
    "NotifyEVChargingNeeds": {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "AC_three_phase"}},
    "SignCertificate": {"csr": "x", "certificateType": "ChargingStationCertificate"},
    "FirmwareStatusNotification": {"status": "Installing", "requestId": 1},
    "LogStatusNotification": {"status": "Uploading", "requestId": 1},
    "SecurityEventNotification": {"type": "t", "timestamp": _AT, "techInfo": "i"},
}  # fmt: skip

_ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, 1e308, -1e308, 0.1, "", " ", "NaN", "-inf", "1e400",
    "x" * 300, "\x00", "\ud800", "é" * 60, "\n[ERROR] forged", "../../etc/passwd", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59+14:00", "2026-13-45T99:99:99Z", [], {}, [[]], {"a": {"b": {}}}, [None] * 50,
    "Available", "Faulted", "Ended", "Started", "L1-N", "kWh", "Power.Active.Import",
    "Energy.Active.Import.Register", float("nan"), float("inf"),
)  # fmt: skip
_ANSWERS: tuple[Any, ...] = (
    {"status": "Accepted"}, {"status": "Rejected"}, {"status": "NotSupported"}, {"status": 5}, {}, [], None, "x", 7,
    {"configurationKey": [{"key": "ChargeProfileMaxStackLevel", "readonly": 1, "value": "x" * 3000}, 5, {}]},
    {"getVariableResult": [{"attributeStatus": "Accepted", "component": 5, "variable": {"name": "x"}}]},
    {"status": "Accepted", "chargingSchedule": {"chargingSchedulePeriod": [{"limit": "a"}, 5]}},
    {"status": "Accepted", "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"limit": 1e308}]}},
    {"status": "Accepted", "schedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"limit": -1}, {}]}},
)  # fmt: skip


@dataclass(slots=True)
class Report:
    """What a run did and found."""

    frames: int = 0
    answered: int = 0
    connections: int = 0
    hung_up: int = 0
    findings: list[str] = field(default_factory=list)


class _Mutator:
    """Makes messages wrong in few places."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._count = 0

    def frame(self, version: str) -> str:
        """Return a frame: now and then a valid one, mostly one with something wrong in it."""
        rng = self._rng
        self._count += 1
        messages = _MESSAGES_16 if version == "1.6" else _MESSAGES_2
        action = rng.choice(list(messages))
        payload: Any = json.loads(json.dumps(messages[action]))
        for _ in range(rng.choice((0, 1, 1, 1, 2, 5))):
            payload = self._wrong(payload)
        message: list[Any] = [2, f"f{self._count}", action, payload]
        match rng.randrange(12):
            case 0:
                message[rng.randrange(4)] = self._odd()
            case 1:
                message = message[: rng.randrange(5)]
            case 2:
                message.append(self._odd())
            case 3:
                message = [rng.choice((3, 4, 5, 6)), f"f{self._count}", payload]
        text = json.dumps(message)
        if rng.randrange(15) == 0:
            place = rng.randrange(len(text))
            text = (
                text[:place]
                + rng.choice(('"', "}", "]", "[" * 200, "\x00", "é", ""))
                + text[place + 1 :]
            )
        return text

    def _odd(self) -> Any:
        return copy.deepcopy(self._rng.choice(_ODD))

    def _wrong(self, value: Any) -> Any:
        """Return a value with one place changed, removed, doubled or added."""
        rng = self._rng
        if isinstance(value, dict) and value and rng.randrange(6):
            key = rng.choice(list(value))
            match rng.randrange(5):
                case 0:
                    del value[key]
                case 1:
                    value[rng.choice(("extra", key.upper(), key + " "))] = self._odd()
                case _:
                    value[key] = self._wrong(value[key])
            return value
        if isinstance(value, list) and value and rng.randrange(6):
            place = rng.randrange(len(value))
            match rng.randrange(4):
                case 0:
                    value.append(copy.deepcopy(value[place]))
                case 1:
                    value[place] = self._odd()
                case _:
                    value[place] = self._wrong(value[place])
            return value
        return self._odd()

    def answer(self, message_id: str) -> str:
        """Return an answer to a call of the server."""
        if self._rng.randrange(8) == 0:
            return json.dumps(
                [
                    4,
                    message_id,
                    *[self._odd() for _ in range(self._rng.randrange(4))],
                ]
            )
        return json.dumps([3, message_id, self._rng.choice(_ANSWERS)])


class _Findings(logging.Handler):
    """Collects what the server should never log."""

    def __init__(self, report: Report) -> None:
        super().__init__(logging.ERROR)
        self._report = report

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Note an error with its cause."""
        cause = repr(record.exc_info[1]) if record.exc_info else ""
        self._report.findings.append(f"{record.getMessage()} {cause}")


async def run(frames: int, seed: int, store: SessionLog) -> Report:
    """Send at least `frames` frames over many connections and return what came of it."""
    report = Report()
    mutator = _Mutator(random.Random(seed))
    server = OcppServer(host="127.0.0.1", port=0, transactions=store)
    handler = _Findings(report)
    with tempfile.TemporaryDirectory() as folder:
        server.sign_request = tls.Authority.load_or_create(Path(folder)).sign_request
    loggers = [
        logging.getLogger(name)
        for name in (session.__name__.rpartition(".")[0], "asyncio")
    ]
    for logger in loggers:
        logger.addHandler(handler)
    await server.start()
    try:
        points = [
            server.adopt(ChargePointConfig(id=f"FUZZ{version}", connector_ids=(1, 2)))
            for version in _VERSIONS
        ]
        server.adopt(ChargePointConfig(id="GOOD"))
        url = f"ws://127.0.0.1:{server.port}"
        async with connect(
            f"{url}/GOOD", subprotocols=[Subprotocol("ocpp1.6")]
        ) as good:
            keep = asyncio.create_task(_good(good, report))
            while report.frames < frames and not report.findings:
                await asyncio.gather(
                    *(
                        _connection(f"{url}/FUZZ{version}", version, mutator, report)
                        for version in _VERSIONS
                    )
                )
                for point in points:
                    _check(point, report)
                    point.permit(1, Permit(limit_a=10))
            keep.cancel()
            await asyncio.gather(keep, return_exceptions=True)
    finally:
        await server.stop()
        for logger in loggers:
            logger.removeHandler(handler)
    return report


async def _good(socket: ClientConnection, report: Report) -> None:
    """Behave, and expect to be served."""
    number = 0
    while True:
        number += 1
        began_s = time.monotonic()
        await socket.send(json.dumps([2, f"g{number}", "Heartbeat", {}]))
        try:
            async with asyncio.timeout(_ANSWER_WAIT_S):
                while json.loads(await socket.recv())[1] != f"g{number}":
                    pass
        except TimeoutError:
            report.findings.append("a good charge point was not served")
            return
        if time.monotonic() - began_s > _ANSWER_WAIT_S / 2:
            report.findings.append("a good charge point was served late")
        await asyncio.sleep(0.1)


async def _connection(
    url: str, version: str, mutator: _Mutator, report: Report
) -> None:
    """Send the frames of one connection, and answer what the server asks."""
    report.connections += 1
    try:
        async with connect(url, subprotocols=[Subprotocol(f"ocpp{version}")]) as socket:
            reader = asyncio.create_task(_answer(socket, mutator, report))
            for _ in range(FRAMES_PER_CONNECTION):
                await socket.send(
                    mutator.frame(version).encode("utf-8", "replace").decode()
                )
                report.frames += 1
            await socket.send(json.dumps([2, "last", "Heartbeat", {}]))
            async with asyncio.timeout(_ANSWER_WAIT_S):
                await reader
    except TimeoutError:
        report.findings.append(f"{version}: a connection was no longer served")
    except ConnectionClosed:
        report.hung_up += 1


async def _answer(socket: ClientConnection, mutator: _Mutator, report: Report) -> None:
    async for frame in socket:
        kind, message_id, *rest = json.loads(frame)
        if kind == 2:
            await socket.send(mutator.answer(message_id))
            continue
        report.answered += 1
        if kind == 4 and rest[0] == "InternalError":
            report.findings.append(f"internal error: {frame!r}")
        if message_id == "last":
            return


def _check(point: ChargePoint, report: Report) -> None:
    """Look at what the rest of the program would see."""
    for view in point.connectors.values():
        rules: tuple[tuple[str, float | None, Callable[[float], bool]], ...] = (
            (
                "current",
                max(
                    (abs(a) for a in view.current_a or () if a is not None),
                    default=None,
                ),
                lambda a: a <= 2000,
            ),
            ("power", view.power_w, lambda w: abs(w) <= 2e6),
            ("state of charge", view.soc_pct, lambda pct: abs(pct) <= 100),
            (
                "energy",
                view.transaction.energy_wh if view.transaction else None,
                lambda wh: 0 <= wh <= 1e15,
            ),
        )
        for name, value, holds in rules:
            if value is not None and not holds(value):
                report.findings.append(f"{point.id}: impossible {name}: {value}")


async def _main(frames: int, seed: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        store = SessionLog(Path(folder) / "sessions.db")
        await store.open()
        began_s = time.monotonic()
        report = await run(frames, seed, store)
        await store.close()
    seconds = time.monotonic() - began_s
    sys.stdout.write(
        f"seed {seed}: {report.frames} frames over {report.connections} connections in {seconds:.0f} s, "
        f"{report.answered} answers, {report.hung_up} connections hung up on\n"
    )
    for finding in report.findings:
        sys.stdout.write(f"FOUND: {finding}\n")
    return 1 if report.findings else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fuzz the OCPP server on loopback.")
    parser.add_argument("frames", type=int)
    parser.add_argument(
        "seed", type=int, nargs="?", default=random.SystemRandom().randrange(10**6)
    )
    arguments = parser.parse_args()
    pace.RATE_PER_S = 1e6
    sys.exit(asyncio.run(_main(arguments.frames, arguments.seed)))

"""The OCPP central system: listens, lets in who is adopted, and routes connections to charge points."""

import asyncio
import base64
import binascii
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
import hmac
from http import HTTPStatus
import logging
import math
import re
from ssl import SSLContext, VerifyMode
import time
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from . import quirks, schemas, tls
from .charge_point import ChargePoint
from .connections import Connections, network
from .dialect import Dialect
from .guest import Guest
from .knocking import MOST, Knocking, of_the_crowd
from .learnt import Learnt
from .log_ins import ALARM, LogIns
from .model import Authorization, ChargePointConfig, UnknownChargePoint
from .pace import CONNECTION, Pace
from .passwords import is_password
from .session import Session
from .transactions import TransactionLog
from .turns import Turns
from .v16 import V16
from .v201 import V21, V201

_LOGGER = logging.getLogger(__name__)

DIALECTS: Mapping[str, type[Dialect]] = {"1.6": V16, "2.0.1": V201, "2.1": V21}
_PROTOCOLS = {f"ocpp{version}": version for version in DIALECTS}

_MAX_FRAME_BYTES = 256 * 1024
_MAX_QUEUED_FRAMES = 4
_OPEN_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 2.0
_MAX_CONNECTIONS = 1000
_INTRODUCTION_S = 15.0
"""A guest that has not said by then who it is gives way to others."""
_FALL_BACK_S = 2.0

_ID = re.compile(r"[!-~](?:[ -~]{0,46}[!-~])?")
"""1 to 48 printable characters, none of them a blank at an end."""

_VERSION_NAME = re.compile(r"[\w.-]+", re.ASCII)


def _accept_all(_charge_point_id: str, _id_tag: str) -> Authorization:
    return Authorization()


class OcppServer:
    """A port on which charge points connect. It outlives the sites that use it; several may share it."""

    def __init__(
        self,
        *,
        host: str | None,
        port: int,
        transactions: TransactionLog,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        ssl_context: SSLContext | None = None,
    ) -> None:
        """Prepare to listen; `start` does. Host None: on every interface. Port 0: any free one."""
        self.transactions = transactions
        self.clock = clock
        self.now = now
        self.authorize: Callable[[str, str], Authorization] = _accept_all
        self.sign_request: Callable[[str, str], str] | None = None
        """Makes a certificate of a charge point's request and id (`tls.Authority.sign_request`); None: Rejected."""
        self.on_unknown: Callable[[UnknownChargePoint], None] | None = None
        self.on_forgotten: Callable[[str], None] | None = None
        """Told the id of an unknown charge point that had to give way to another one."""
        self.quirk_table: tuple[quirks.Entry, ...] = ()
        self.demands_password = False
        """Whether charge points without a password are refused: security profiles 1 and 2."""
        self.turned_away = 0
        """Connections that were refused: unknown, unauthorised or too many."""
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._server: Server | None = None
        self._schemas: dict[str, schemas.Schemas] = {}
        self._turns = Turns()
        self._charge_points: dict[str, ChargePoint] = {}
        self._paces: dict[str, Pace] = {}
        self._signed_in: dict[str, str] = {}
        self._shown: dict[str, str] = {}
        """By charge point: the serial number of the certificate that it was let in with the last time."""
        self._guests: dict[str, Guest] = {}
        self._knocking = Knocking()
        self._log_ins = LogIns(clock)
        self._pairing = False
        self._connections = Connections(lambda: len(self._charge_points))
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._server is None:
            return self._port
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def charge_points(self) -> Mapping[str, ChargePoint]:
        """The adopted charge points, by id."""
        return self._charge_points

    @property
    def unknown(self) -> Mapping[str, UnknownChargePoint]:
        """Charge points that knocked while pairing was open and are not adopted; at most 20."""
        return self._knocking.listed

    @property
    def failed_log_ins(self) -> int:
        """Wrong passwords since the start."""
        return self._log_ins.failed_in_all

    @property
    def dropped(self) -> int:
        """Sockets that were too many."""
        return self._connections.dropped

    @property
    def pairing(self) -> bool:
        """Whether unknown charge points are let in, to be shown to the person."""
        return self._pairing

    @pairing.setter
    def pairing(self, value: bool) -> None:
        self._pairing = value
        if not value:
            self._knocking.listed.clear()
            for guest in self._guests.values():
                if guest.session is not None:
                    self._close_soon(guest.session, "pairing has ended")

    async def start(self) -> None:
        """Begin to listen. Raises OSError if the port is taken."""
        loop = asyncio.get_running_loop()
        self.quirk_table = await loop.run_in_executor(None, quirks.load)
        for version in DIALECTS:
            self._schemas[version] = await loop.run_in_executor(
                None, schemas.load, version
            )
        self._ask_for_certificates()
        self._server = await serve(
            self._serve,
            self._host,
            self._port,
            ssl=self._ssl_context,
            process_request=self._admit,
            # Documented as a factory, typed as a class.
            create_connection=self._connections.make,  # type: ignore[arg-type]
            select_subprotocol=self._select_protocol,
            compression=None,
            server_header=None,
            max_size=_MAX_FRAME_BYTES,
            max_queue=_MAX_QUEUED_FRAMES,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            # The sessions ping.
            ping_interval=None,
            logger=_quiet_logger(),
            ssl_handshake_timeout=_OPEN_TIMEOUT_S if self._ssl_context else None,
        )

    async def stop(self) -> None:
        """Send every charge point to its floor and end all connections."""
        if self._server is None:
            return
        await asyncio.gather(
            *(
                point.leaving.fall_back(_FALL_BACK_S)
                for point in self._charge_points.values()
            )
        )
        server, self._server = self._server, None
        server.close()
        await server.wait_closed()

    async def listen_anew(
        self, host: str | None, ssl_context: SSLContext | None
    ) -> None:
        """Listen with another encryption or none, or elsewhere; charge points have to dial in again. Raises OSError."""
        self._port = self.port
        await self.stop()
        self._host, self._ssl_context = host, ssl_context
        await self.start()

    def adopt(
        self, config: ChargePointConfig, learnt: Learnt | None = None
    ) -> ChargePoint:
        """Let a charge point in, or change its settings without dropping its connection.

        `learnt` is what it had taught us before a restart; one that is in already knows better.
        """
        point = self._charge_points.get(config.id)
        if point is not None:
            demanded_before = point.config.demands_certificate
            point.apply(config)
            if config.demands_certificate is not demanded_before:
                self._ask_for_certificates()
            return point
        point = self._charge_points[config.id] = ChargePoint(config, self, learnt)
        if config.demands_certificate:
            self._ask_for_certificates()
        self._knocking.listed.pop(config.id, None)
        guest = self._guests.pop(config.id, None)
        if guest is not None and guest.session is not None:
            is_open = config.password is None or config.password_on_trial
            if is_open and not self._demands_certificate(config):
                self._take_over(point, guest.session)
            else:
                self._close_soon(guest.session, "adopted, and has to sign in")
        return point

    def knows_password(self, charge_point_id: str) -> bool:
        """Whether a charge point came in with its password the last time, not with the former one or with none."""
        point = self._charge_points.get(charge_point_id)
        used = self._signed_in.get(charge_point_id)
        return point is not None and used is not None and used == point.config.password

    def certificate_shown(self, charge_point_id: str) -> str | None:
        """Return the serial number of the certificate that a charge point was let in with the last time."""
        return self._shown.get(charge_point_id)

    def remove(self, charge_point_id: str) -> None:
        """Let a charge point in no more, and drop its connection."""
        self._signed_in.pop(charge_point_id, None)
        self._shown.pop(charge_point_id, None)
        self._paces.pop(charge_point_id, None)
        point = self._charge_points.pop(charge_point_id, None)
        if point is not None:
            if point.config.demands_certificate:
                self._ask_for_certificates()
            self._run(point.close("removed"))

    async def _serve(self, connection: ServerConnection) -> None:
        """Serve one connection from its handshake to its end."""
        self._connections.served(connection)
        version = _PROTOCOLS.get((connection.subprotocol or "ocpp1.6").lower())
        charge_point_id = (
            _charge_point_id(connection.request.path) if connection.request else None
        )
        offered = (
            connection.request.headers.get_all("Sec-WebSocket-Protocol")
            if connection.request
            else []
        )
        if (
            version is None
            or charge_point_id is None
            or (offered and not connection.subprotocol)
        ):
            await connection.close(1002, "no common OCPP version")
            return
        point = self._charge_points.get(charge_point_id)
        if point is None and not self._pairing:
            await connection.close(1008, "unknown charge point")
            return
        pace = self._paces.get(charge_point_id) or Pace(time.monotonic)
        if point is not None:
            # Over all its connections: who comes back again and again says no more by that.
            self._paces[charge_point_id] = pace
            await asyncio.sleep(pace.pay(CONNECTION))
        if point is not None and not await point.gives_way():
            self.turned_away += 1
            await connection.close(1008, "another connection has this id")
            return
        guest = self._guest(connection, charge_point_id, version)
        session = Session(
            connection,
            guest,
            charge_point_id=charge_point_id,
            version=version,
            offered={
                _PROTOCOLS.get(name.strip().lower(), "")
                for names in offered
                for name in names.split(",")
            },
            schemas=self._schemas[version],
            turns=self._turns,
            pace=pace,
        )
        if point is not None:
            self._take_over(point, session)
        else:
            guest.session = session
            self._guests[charge_point_id] = guest
        try:
            await session.run()
        finally:
            session.peer.disconnected(session)
            if self._guests.get(charge_point_id) is guest:
                del self._guests[charge_point_id]

    def _take_over(self, point: ChargePoint, session: Session) -> None:
        session.peer = point
        point.connected_with(session, DIALECTS[session.version])

    def _guest(
        self, connection: ServerConnection, charge_point_id: str, version: str
    ) -> Guest:
        return Guest(
            UnknownChargePoint(
                id=charge_point_id,
                address=str((connection.remote_address or ("",))[0]) or None,
                version=version,
                last_seen=self.now(),
            ),
            DIALECTS[version],
            now=self.now,
            seen=self._saw_unknown,
            since_s=self.clock(),
        )

    def _saw_unknown(self, unknown: UnknownChargePoint) -> None:
        """List a charge point that waits for adoption, if there is room for it."""
        if not self._pairing or unknown.id in self._charge_points:
            return
        news, gone = self._knocking.see(unknown)
        if gone is not None and self.on_forgotten is not None:
            self.on_forgotten(gone)
        if news and self.on_unknown is not None:
            self.on_unknown(unknown)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse before the upgrade who is unknown, has the wrong password, or is one too many."""
        if "Connection" not in request.headers:
            # Some chargers (Autel firmware 1.38) leave it out.
            request.headers["Connection"] = "Upgrade"
        _tidy_protocols(request)
        charge_point_id = _charge_point_id(request.path)
        point = self._charge_points.get(charge_point_id or "")
        address = str((connection.remote_address or ("",))[0])
        if charge_point_id is None or (
            point is None and not (self._pairing and self._has_room(address))
        ):
            self.turned_away += 1
            return connection.respond(HTTPStatus.NOT_FOUND, "")
        if point is not None:
            guarded = (
                point.config.password is not None and not point.config.password_on_trial
            )
            wait_s = self._log_ins.wait_s(point.id, address)
            if wait_s > 0.0 and guarded:
                self.turned_away += 1
                response = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "")
                response.headers["Retry-After"] = str(math.ceil(wait_s))
                return response
            if not self._authorised(point, request):
                self.turned_away += 1
                scheme = request.headers.get("Authorization", "").partition(" ")[0]
                if scheme.lower() == "basic":
                    self._count_failure(point, address)
                response = connection.respond(HTTPStatus.UNAUTHORIZED, "")
                response.headers["WWW-Authenticate"] = 'Basic realm="OCPP"'
                return response
        if point is not None and not self._certified(connection, point.config):
            self.turned_away += 1
            _LOGGER.debug(
                "%s: no certificate, or one that is not good", charge_point_id
            )
            return connection.respond(HTTPStatus.FORBIDDEN, "")
        if point is not None:
            if guarded:
                self._log_ins.succeeded(point.id, address)
        elif len(connection.server.connections) >= _MAX_CONNECTIONS:
            self.turned_away += 1
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")
        return None

    def _select_protocol(
        self, connection: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        """Take the first version that both know, as the charge point spells it; none where none was offered.

        One that is meant for the charge point goes before the others, if it is offered.
        """
        path = connection.request.path if connection.request else ""
        point = self._charge_points.get(_charge_point_id(path) or "")
        wanted = point.quirks.ocpp_version if point else None
        known = [name for name in offered if name.lower() in _PROTOCOLS]
        pinned = [name for name in known if _PROTOCOLS[name.lower()] == wanted]
        return next(iter([*pinned, *known]), None)

    def _count_failure(self, point: ChargePoint, address: str) -> None:
        """Count a wrong password, and tell of it when it is no mistake any more."""
        _LOGGER.debug("%s: wrong password", point.id)
        failures = self._log_ins.failed(point.id, address)
        if failures >= ALARM:
            point.password_guessed(failures, address)

    def log_ins_quiet(self, charge_point_id: str) -> bool:
        """Whether no password was wrong for a charge point for a while."""
        return self._log_ins.quiet(charge_point_id)

    def _has_room(self, address: str) -> bool:
        """Whether one more guest is let in; one that says nothing, or one of a crowd, is shown out for it."""
        if len(self._guests) < MOST:
            return True
        silent = (
            id_
            for id_, guest in self._guests.items()
            if not guest.introduced and self.clock() > guest.since_s + _INTRODUCTION_S
        )
        places = {id_: guest.place for id_, guest in self._guests.items()}
        gone = next(silent, None) or of_the_crowd(places, network(address))
        if gone is None:
            return False
        guest = self._guests.pop(gone)
        if guest.session is not None:
            self._close_soon(guest.session, "others wait")
        return True

    def _authorised(self, point: ChargePoint, request: Request) -> bool:
        """Whether the request carries the charge point's password, if one is demanded (S12)."""
        certified = self._demands_certificate(point.config)
        if point.config.password is None:
            return certified or not self.demands_password
        used = _password_used(point.config, request)
        if used is not None:
            self._signed_in[point.id] = used
        elif point.config.password_on_trial and not self.demands_password:
            self._signed_in.pop(point.id, None)
            return True
        # A charge point that signs in by certificate (security profile 3) sends no password, even if it has an old one.
        return used is not None or certified

    def _demands_certificate(self, config: ChargePointConfig) -> bool:
        """Whether a charge point has to show a certificate of its own."""
        context = self._ssl_context
        of_all = context is not None and context.verify_mode is VerifyMode.CERT_REQUIRED
        return of_all or config.demands_certificate

    def _ask_for_certificates(self) -> None:
        """Ask for a certificate in each handshake as long as somebody has to show one.

        Its identity shows only after the handshake; the others show none.
        """
        context = self._ssl_context
        if context is not None and context.verify_mode is not VerifyMode.CERT_REQUIRED:
            demanded = any(
                point.config.demands_certificate
                for point in self._charge_points.values()
            )
            context.verify_mode = (
                VerifyMode.CERT_OPTIONAL if demanded else VerifyMode.CERT_NONE
            )

    def _certified(
        self, connection: ServerConnection, config: ChargePointConfig
    ) -> bool:
        """Whether the certificate that is demanded, if it is, is the charge point's own and has not lapsed (S12)."""
        if not self._demands_certificate(config):
            return True
        tls_object = connection.transport.get_extra_info("ssl_object")
        certificate = None if tls_object is None else tls_object.getpeercert()
        serial_number = tls.shown_serial_number(certificate)
        if tls.common_name(certificate) != config.id or serial_number is None:
            return False
        if config.certificates is not None and serial_number not in config.certificates:
            return False
        self._shown[config.id] = serial_number
        return True

    def _close_soon(self, session: Session, reason: str) -> None:
        self._run(session.close(1012, reason))

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _tidy_protocols(request: Request) -> None:
    """Make of what some charge points send as versions (empty, with separators of their own) the list that it means."""
    offered = request.headers.get_all("Sec-WebSocket-Protocol")
    if offered:
        del request.headers["Sec-WebSocket-Protocol"]
        if names := _VERSION_NAME.findall(" ".join(offered)):
            request.headers["Sec-WebSocket-Protocol"] = ", ".join(names)


def _charge_point_id(path: str) -> str | None:
    """Return the charge point's id, the last part of the path; None if it is none."""
    # Not by urlsplit: of a URL that was entered with a slash too many, //CP1, it would make a host.
    place, _, query = path.partition("?")
    name = unquote(place.rstrip("/").rpartition("/")[2], errors="replace")
    if query.startswith("="):
        # Autel: /ws/webSocket?=serial
        name = unquote(query[1:], errors="replace")
    return (
        name
        if _ID.fullmatch(name) and "/" not in name and name not in {".", ".."}
        else None
    )


def _password_used(config: ChargePointConfig, request: Request) -> str | None:
    """Return which password of the charge point the request carries; all are compared in constant time (S12)."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, given = base64.b64decode(encoded.strip(), validate=True).partition(
            b":"
        )
    except binascii.Error:
        return None
    same_user = hmac.compare_digest(user, config.id.encode())
    used = None
    for password in filter(None, (config.former_password, config.password)):
        if is_password(password, given) & same_user:
            used = password
    return used


def _quiet_logger() -> logging.Logger:
    """Return a logger that does not let a port scanner fill the log."""
    logger = logging.getLogger(f"{__name__}.wire")
    logger.addFilter(_scanner_noise)
    return logger


def _scanner_noise(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING and "handshake" not in record.getMessage()

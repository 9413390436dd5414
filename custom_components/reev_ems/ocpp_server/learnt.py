"""What a charge point has taught us by its answers, as a record that outlives a restart."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

from .abilities import Abilities, read_abilities
from .model import BootInfo, SelfTest


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalListRecord:
    """The list of id tags that a charge point was last sent (local_list.py)."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What would have to be found out again at every restart of Home Assistant.

    Whoever holds the server keeps it: it is in `ChargePoint.learnt`, each change is told by the event LearntChanged,
    and `OcppServer.adopt` takes it back. It is true for one model and firmware: where the charge point says at its
    next start that it is another one, all of it is forgotten.
    """

    info: BootInfo = field(default_factory=BootInfo)
    """The charge point that this is true of."""
    overrides: Mapping[str, object] = field(default_factory=dict)
    """What the person had set of its abilities (ChargePointConfig.quirks) when they were learnt."""
    abilities: Abilities = field(default_factory=Abilities)
    without_measurands: tuple[str, ...] = ()
    """Measurands that it refused while it took others."""
    clock_offset_s: float = 0.0
    """How far its clock was ahead of ours; believed again as soon as one message confirms it."""
    self_tests: Mapping[int, SelfTest] = field(default_factory=dict)
    """By connector."""
    paused: Mapping[int, str] = field(default_factory=dict)
    """By connector: the id tag of a transaction that was ended to pause it (pauses.py)."""
    local_list: LocalListRecord | None = None
    ignores_zero: bool = False
    """A car charged on at a limit of 0 (zero.py)."""
    ends_on_zero: int = 0
    """Transactions that ended by themselves on a limit of 0."""
    statuses: Mapping[int, str] = field(default_factory=dict)
    """By connector: its last status, in the words of its OCPP version."""
    floor_kind_asked: bool = True
    """Whether it was asked for an absolute floor first; records of earlier versions tell of relative ones."""

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            **asdict(self),
            "without_measurands": list(self.without_measurands),
            "self_tests": {
                str(connector): asdict(test)
                for connector, test in self.self_tests.items()
            },
            "statuses": {
                str(connector): status for connector, status in self.statuses.items()
            },
            "paused": {str(connector): tag for connector, tag in self.paused.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Learnt:
        """Return what `as_dict` wrote; fields of other versions are left out. Raises ValueError where it is wrong."""
        try:
            return cls(
                info=BootInfo(**_known(BootInfo, data["info"])),
                overrides=dict(data["overrides"]),
                abilities=Abilities(
                    **cast("Any", read_abilities(_known(Abilities, data["abilities"])))
                ),
                without_measurands=tuple(data["without_measurands"]),
                clock_offset_s=float(data["clock_offset_s"]),
                self_tests={
                    int(connector): SelfTest(**_known(SelfTest, test))
                    for connector, test in data["self_tests"].items()
                },
                paused={
                    int(connector): str(tag)
                    for connector, tag in data.get("paused", {}).items()
                },
                local_list=LocalListRecord(**_known(LocalListRecord, kept))
                if (kept := data.get("local_list"))
                else None,
                ignores_zero=bool(data.get("ignores_zero", False)),
                ends_on_zero=int(data.get("ends_on_zero", 0)),
                statuses={
                    int(connector): str(status)
                    for connector, status in data.get("statuses", {}).items()
                },
                floor_kind_asked=bool(data.get("floor_kind_asked", False)),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no record of abilities: {error!r}") from error


def _known(kind: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in data.items() if name in names}

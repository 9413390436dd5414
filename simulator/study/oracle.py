"""The oracle: it knows the base load and what each car wants, and shares max-min each second, without delay.

Everything that limits is a row Σ a·x ≤ b with x in A per phase at the AC side. A margin that the site is told to
keep is kept here too. Who cannot get its minimum beside those
that were served less stays out for that second. Many seconds are shared at once, each on its own: wants change slowly,
base loads do not.

Imbalance rows of a pair (p, q) hold those that load p and not q; those on q and not p add to the room, with what the
round before gave them, three rounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .plan import VOLTAGE_V, SitePlan

type Matrix = NDArray[np.float64]

PAIRS = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))
_ROUNDING = 1e-9


@dataclass(slots=True)
class Want:
    """Someone who wants energy now."""

    outlet: int
    phases: tuple[int, ...]
    """Line phases in use; DC: all three."""
    least_a: float
    most_a: float
    """What it would take now, A per phase at the AC side."""
    served_wh: float
    solar: bool = False

    @property
    def watts_per_a(self) -> float:
        """Power at the AC side for each A."""
        return VOLTAGE_V * len(self.phases)


class Oracle:
    """Shares one site.

    Args:
        plan: the site.
        base_a: per circuit what it carries itself, rows of three per second, sun not included.
        sun_w: power of the sun per second.
    """

    def __init__(
        self, plan: SitePlan, base_a: Sequence[Matrix], sun_w: Matrix | None
    ) -> None:
        """Add up what each circuit has left for cars."""
        index = {circuit.id: place for place, circuit in enumerate(plan.circuits)}
        totals = [base.copy() for base in base_a]
        self._above: list[tuple[int, ...]] = []
        for circuit in plan.circuits:
            path = [index[circuit.id]]
            while (parent := plan.circuits[path[-1]].parent) is not None:
                path.append(index[parent])
            self._above.append(tuple(path))
        for place in range(len(totals) - 1, 0, -1):
            totals[self._above[place][1]] += totals[place]
        if sun_w is not None:
            self._surplus_w: Matrix = np.maximum(
                0.0, sun_w - VOLTAGE_V * totals[0].sum(axis=1)
            )
            totals[0] = totals[0] - (sun_w / (3.0 * VOLTAGE_V))[:, None]
        else:
            self._surplus_w = np.zeros(len(totals[0]))
        self._root = totals[0]
        self._limited = [
            place
            for place, circuit in enumerate(plan.circuits)
            if circuit.limit_a is not None
        ]
        margin_a = float(plan.told.get("margin_a", 0.0))
        rooms = [
            np.array(circuit.limit_a) - margin_a - totals[place]
            for place, circuit in enumerate(plan.circuits)
            if circuit.limit_a is not None
        ]
        self._room = (
            np.concatenate(rooms, axis=1) if rooms else np.zeros((len(self._root), 0))
        )
        self._circuit_of = [index[outlet.circuit] for outlet in plan.outlets]
        self._imbalance_a = plan.imbalance_a
        external = np.full(len(self._root), np.inf)
        for from_s, limit_w in plan.external_w:
            external[from_s:] = np.inf if limit_w is None else limit_w
        self._external_w = external

    @property
    def surplus_w(self) -> Matrix:
        """What the sun leaves beyond the house, per second."""
        return self._surplus_w

    def share(self, wants: Sequence[Want], from_s: int, to_s: int) -> Matrix:
        """Return A per phase, a row for each second and a column for each want."""
        seconds, count = to_s - from_s, len(wants)
        if not count:
            return np.zeros((seconds, 0))
        rows, room = self._rows(wants, from_s, to_s)
        least = np.array([want.least_a for want in wants])
        most = np.array([max(want.least_a, want.most_a) for want in wants])
        order = sorted(range(count), key=lambda i: (wants[i].served_wh, i))
        if self._imbalance_a is None:
            return _fill(rows, room, least, most, order)
        pair_rows = np.zeros((6, count))
        opposite = np.zeros((6, count))
        for row, (p, q) in enumerate(PAIRS):
            for column, want in enumerate(wants):
                pair_rows[row, column] = p in want.phases and q not in want.phases
                opposite[row, column] = q in want.phases and p not in want.phases
        base = self._root[from_s:to_s]
        gap = np.stack(
            [self._imbalance_a - base[:, p] + base[:, q] for p, q in PAIRS], axis=1
        )
        rows = np.concatenate((rows, pair_rows))
        shares = np.zeros((seconds, count))
        for _ in range(3):
            shares = _fill(
                rows,
                np.concatenate((room, gap + shares @ opposite.T), axis=1),
                least,
                most,
                order,
            )
        return shares

    def _rows(
        self, wants: Sequence[Want], from_s: int, to_s: int
    ) -> tuple[Matrix, Matrix]:
        """Return the coefficients of all rows and, per second, their room."""
        count = len(wants)
        rows = np.zeros((3 * len(self._limited), count))
        for column, want in enumerate(wants):
            path = self._above[self._circuit_of[want.outlet]]
            for row, place in enumerate(self._limited):
                if place in path:
                    for phase in want.phases:
                        rows[3 * row + phase, column] = 1.0
        room = self._room[from_s:to_s]
        watts = np.array([[want.watts_per_a for want in wants]])
        external = self._external_w[from_s:to_s, None]
        if np.isfinite(external).any():
            rows = np.concatenate((rows, watts))
            room = np.concatenate(
                (room, np.where(np.isfinite(external), external, 1e9)), axis=1
            )
        if any(want.solar for want in wants):
            solar = np.array([[float(want.solar) for want in wants]])
            rows = np.concatenate((rows, watts * solar))
            room = np.concatenate((room, self._surplus_w[from_s:to_s, None]), axis=1)
        return rows, room


def _fill(
    rows: Matrix, room: Matrix, least: Matrix, most: Matrix, order: Sequence[int]
) -> Matrix:
    """Admit at the minimum in the given order, then raise all alike until a row or a maximum holds each."""
    seconds, count = len(room), len(least)
    used = rows @ least
    if (used <= room + _ROUNDING).all():
        admitted = np.ones((seconds, count), dtype=bool)
        left = room - used
    else:
        admitted = np.zeros((seconds, count), dtype=bool)
        left = room.copy()
        for i in order:
            need = rows[:, i] * least[i]
            touched = need > 0.0
            fits = (need[touched] <= left[:, touched] + _ROUNDING).all(axis=1)
            admitted[:, i] = fits
            left -= np.outer(fits, need)
    shares = np.where(admitted, least, 0.0)
    rising = admitted & (most > least + _ROUNDING)
    for _ in range(4 * (count + len(rows))):
        if not rising.any():
            break
        # The level of each second goes up to the next point at which something changes.
        level = np.where(rising, shares, np.inf).min(axis=1)
        level[~np.isfinite(level)] = 0.0
        moving = rising & (shares <= level[:, None] + _ROUNDING)
        slope = moving @ rows.T
        with np.errstate(divide="ignore", invalid="ignore"):
            by_row = np.where(slope > 0.0, np.maximum(0.0, left) / slope, np.inf).min(
                axis=1, initial=np.inf
            )
        ahead = np.where(rising & ~moving, shares, np.inf)
        ceiling = np.where(moving, most, np.inf)
        rise = np.minimum(np.minimum(ahead, ceiling).min(axis=1) - level, by_row)
        rise = np.where(np.isfinite(rise), rise, 0.0)
        shares += moving * rise[:, None]
        left -= slope * rise[:, None]
        full = left <= 1e-6
        held = (full.astype(float) @ (rows > 0.0).astype(float)) > 0.0
        rising &= ~(moving & held) & (shares < most - 1e-7)
    return shares

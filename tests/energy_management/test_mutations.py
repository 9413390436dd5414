"""Each rule, broken in a copy of the package, makes a case file or a check fail."""

from collections.abc import Iterator
from dataclasses import dataclass
import importlib
from pathlib import Path
import shutil
import sys

import pytest

from .checks import failures

PACKAGE = (
    Path(__file__).parents[2] / "custom_components" / "reev_ems" / "energy_management"
)


@dataclass(frozen=True)
class Mutation:
    """One line made wrong."""

    rule: str
    file: str
    right: str
    wrong: str


MUTATIONS = [
    # The rows.
    Mutation("L1 has a base load", "rows", "limit[0] - base[0] -", "limit[0] -"),
    Mutation("L2 has a base load", "rows", "limit[1] - base[1] -", "limit[1] -"),
    Mutation("L3 has a base load", "rows", "limit[2] - base[2] -", "limit[2] -"),
    Mutation("L2 has a limit", "rows", "limit[1] - base", "limit[0] - base"),
    Mutation("L3 has a limit", "rows", "limit[2] - base", "limit[0] - base"),
    Mutation("reservations", "rows", "base[0] - reserved[0]", "base[0]"),
    Mutation("reservations in W", "rows", " - sum(reserved_a)", ""),
    Mutation("margin", "rows", "reserved[0] - margin", "reserved[0]"),
    Mutation(
        "circuit rows", "rows", "if circuit.limit_a is not None:", "if circuit is None:"
    ),
    Mutation(
        "power rows", "rows", "if circuit.limit_w is not None:", "if circuit is None:"
    ),
    Mutation("power base", "rows", "(circuit.limit_w - base_w)", "circuit.limit_w"),
    Mutation(
        "power from currents", "rows", "sum(assumed_a) * case.site.voltage_v", "0.0"
    ),
    Mutation(
        "power counts phases",
        "bottlenecks",
        "(row, shape.phase_count)",
        "(row, 1.0)",
    ),
    Mutation("S2 unknown base", "rows", "circuit.reserve_a if base_a is None else", ""),
    Mutation("reserve", "rows", "base_a.get(name, circuit.reserve_a)", "base_a.get(name)"),
    Mutation("S2 NaN", "rows", "bound_a if isfinite(bound_a) else 0.0", "bound_a"),
    Mutation("S2 unknown phases", "rows", "places = _ANY if phases is None or", "places = 1 if phases is None else _ANY if"),
    Mutation(
        "S2 unknown surplus", "rows", "case.surplus_w.get(budget, 0.0)",
        "case.surplus_w.get(budget, 1e6)",
    ),
    Mutation("pv rows", "rows", "solar.append((net, count))", "pass"),
    Mutation("pv rows per phase", "rows", "if per_phase is not None:", "if False:"),
    Mutation(
        "solar_min above its minimum", "rows",
        "common if demand.solar else above_minimum", "common",
    ),
    Mutation(
        "external limit", "rows", "if self._external is not None:", "if False:"
    ),
    Mutation(
        "external limit counts phases", "rows",
        "common.append((self._external, count))",
        "common.append((self._external, 1.0))",
    ),
    Mutation("imbalance rows", "rows", "if self._pairs is not None:", "if False:"),
    Mutation(
        "circuits above", "bottlenecks", "place = rows.circuits[place].parent", "place = None"
    ),
    Mutation("loads above", "rows", "if node.parent is not None:", "if False:"),
    # The limits of user groups.
    Mutation("user groups", "rows", "for group in demand.groups:", "for group in ():"),
    Mutation("user groups' amperes", "rows", "if phase_rows is not None:\n                common", "if False:\n                common"),
    Mutation("user groups' power", "rows", "common.append((power_row, count))", "pass"),
    Mutation("user groups' phases in power", "rows", "common.append((power_row, count))", "common.append((power_row, 1))"),
    Mutation("user groups' reservations", "rows", "group.limit_a, _NOTHING, reserved_a", "group.limit_a, _NOTHING, _NOTHING"),
    Mutation("user groups' reservations in W", "rows", "group.limit_w / voltage_v - sum(reserved_a)", "group.limit_w / voltage_v"),
    Mutation("who is in a user group", "case_format", "groups=read_groups(fields, group_ids)", "groups=read_groups(fields, group_ids) and ()"),
    # The imbalance limit.
    Mutation("imbalance sign", "imbalance", "base_a[p] - base_a[q]", "base_a[p]"),
    Mutation("imbalance margin", "imbalance", "- case.site.margin_a", ""),
    Mutation("imbalance support", "imbalance", "+ helped", ""),
    Mutation(
        "support is measured", "imbalance",
        "max(0.0, min(*known, demand.max_a))", "demand.max_a",
    ),
    Mutation(
        "three-phase cars are free", "imbalance", "if phase_count == 3:", "if False:"
    ),
    Mutation(
        "S2 unknown phases under the imbalance limit", "imbalance",
        "(unknown or q not in loaded)", "q not in loaded",
    ),
    Mutation(
        "support of who is lowered", "allocation", "if not lowered_a:", "if True:"
    ),
    # Admission.
    Mutation("admission", "admission", "return row\n", "return None\n"),
    Mutation(
        "minimum on-time", "admission", "not demand.inside_min_on", "False"
    ),
    Mutation("class in admission", "admission", "-demand.priority", "0"),
    Mutation("class is descending", "admission", "-demand.priority", "demand.priority"),
    Mutation("least served first", "admission", "demand.served_wh", "0.0"),
    Mutation("first come first", "admission", "demand.arrived_s", "0.0"),
    Mutation("least needed of what is scarce", "admission", "        scarce,\n", "        0.0,\n"),
    Mutation("scarcity", "admission", "max(0.0, least_a - bound_a) / max(bound_a, _LEAST_A)", "1.0"),
    Mutation(
        "one phase instead of nothing", "allocation",
        "connector.can_switch_phases and demand.may_use_one_phase", "False",
    ),
    Mutation(
        "three phases if they fit", "allocation",
        "if row is not None and index in self._one_phase:",
        "if index in self._one_phase:",
    ),
    Mutation(
        "the minimum of solar_min is no surplus", "allocation",
        "self._bounds_a[row] += coefficient * minimum_a\n                load_a[row] += coefficient * minimum_a",
        "self._bounds_a[row] += coefficient * minimum_a",
    ),
    Mutation(
        "mode off", "allocation", "connector.mode is ChargingMode.OFF", "False"
    ),
    Mutation("own maximum pauses", "allocation", "found.most < found.fewest or", ""),
    # Classes and levels.
    Mutation(
        "order of classes", "allocation",
        "-demand.priority for demand", "demand.priority for demand",
    ),
    Mutation(
        "classes in filling", "allocation",
        "if self._case.site.sharing is SharingPolicy.EQUAL:\n            self._fill(admitted)",
        "if True:\n            self._fill(admitted)",
    ),
    Mutation(
        "equal policy", "allocation",
        "if self._case.site.sharing is SharingPolicy.EQUAL:\n            self._fill(admitted)",
        "if False:\n            self._fill(admitted)",
    ),
    Mutation(
        "strict policy", "allocation",
        "case.site.sharing is SharingPolicy.STRICT", "False",
    ),
    Mutation(
        "strict classes in whole steps", "allocation",
        "                self._hand_out(admitted)\n            return self._result()",
        "            return self._result()",
    ),
    Mutation(
        "weights", "allocation",
        "ranges[index].high_a, weight)", "ranges[index].high_a, 1.0)",
    ),
    Mutation(
        "own maximum", "filling", "at[signature] = at.get(signature, 0.0) - weight", "pass",
    ),
    Mutation(
        "frozen currents stay", "filling",
        "load_a[other] += coefficient * lift", "pass",
    ),
    Mutation(
        "frozen connectors stop", "filling", "slopes[other] -= coefficient * slope", "pass"
    ),
    Mutation("limited_by", "allocation", "self._froze[index] = row", "pass"),
    # Whole steps.
    Mutation("rounded down", "quantising", "floor(steps + _ROUNDING)", "ceil(steps)"),
    Mutation("minimum rounded up", "quantising", "ceil(steps - _ROUNDING)", "int(steps)"),
    Mutation("remainder", "quantising", "for at_most in (1, None):", "for at_most in ():"),
    Mutation(
        "one step each first", "quantising", "for at_most in (1, None):",
        "for at_most in (None,):",
    ),
    Mutation(
        "fine steps take the rest", "quantising", "for at_most in (1, None):",
        "for at_most in (1,):",
    ),
    Mutation("rows hold after it", "quantising", "if fitting < wanted:", "if False:"),
    # Powers.
    Mutation(
        "DC efficiency", "case", "power_w / (efficiency * voltage_v * 3)",
        "power_w / (voltage_v * 3)",
    ),
    Mutation("DC power", "allocation", "steps * connector.step_w", "current_a"),
    # The case format.
    Mutation(
        "S2 unknown base load in a case", "case_format",
        "demand.min_a if unknown else demand.max_a", "demand.max_a",
    ),
    Mutation(
        "group budgets", "case_format",
        "(SITE_BUDGET, *(circuit.id for circuit in path))", "(SITE_BUDGET,)",
    ),
    Mutation(
        "site budget", "case_format",
        "(SITE_BUDGET, *(circuit.id for circuit in path))",
        "[circuit.id for circuit in path]",
    ),
    # The guard.
    Mutation("S10 base load", "guard", "- base - reserved", "- reserved"),
    Mutation("S10 reservations", "guard", "- base - reserved", "- base"),
    Mutation("S10 margin", "guard", "limit_a - case.site.margin_a - base", "limit_a - base"),
    Mutation("S10 circuits above", "guard", "here = parents[here]", "here = None"),
    Mutation(
        "S10 circuit rows", "guard", "if circuit.limit_a is not None:", "if False:"
    ),
    Mutation(
        "S10 power rows", "guard", "if circuit.limit_w is not None:", "if False:"
    ),
    Mutation("S10 power base", "guard", "(circuit.limit_w - base_w)", "circuit.limit_w"),
    Mutation(
        "S10 external limit", "guard", "if case.external_limit_w is not None:",
        "if False:",
    ),
    Mutation("S10 user groups", "guard", "rows += _group_rows(case, demands, loads)", "pass"),
    Mutation("S10 user groups' members", "guard", "if group.id in demand.groups", "if True"),
    Mutation("S10 user groups' amperes", "guard", "if group.limit_a is not None:", "if False:"),
    Mutation("S10 user groups' power", "guard", "if group.limit_w is not None:", "if False:"),
    Mutation("S10 user groups' margin", "guard", "limit_a - case.site.margin_a - reserved,", "limit_a - reserved,"),
    Mutation("S10 user groups' reservations in W", "guard", "group.limit_w / case.site.voltage_v - sum(reserved_a)", "group.limit_w / case.site.voltage_v"),
    Mutation("S10 pv rows", "guard", "+ _pv_rows(case, demands, loads)", ""),
    Mutation("S10 pv minimum", "guard", "if not demand.solar\n", "if False\n"),
    Mutation(
        "S10 minimum in whole steps", "guard",
        "ceil(demand.min_a / step_a - 1e-9) * step_a", "demand.min_a",
    ),
    Mutation("S10 imbalance rows", "guard", "+ _imbalance_rows(case, demands, loads)", ""),
    Mutation(
        "S10 imbalance base", "guard", "- (on_p - on_q)", ""
    ),
    Mutation(
        "S10 lost support", "guard", "min(draw_a, permits_a[name])", "draw_a"
    ),
    Mutation(
        "S10 unknown phases", "guard",
        "    if demand.phases is None or demand.phase_count == 3:\n        return PHASES\n    return demand.phases",
        "    return demand.phases or ()",
    ),
    Mutation("S10 NaN", "guard", "if isfinite(room_a) else load_a", "if isfinite(room_a) else 0.0"),
    Mutation("S10 unknown base", "guard", "or circuit.reserve_a", "or (0.0, 0.0, 0.0)"),
    Mutation("S10 in proportion", "guard", "max(0.0, 1 - excess_a / above_a)", "1.0"),
    Mutation(
        "S10 only as many as must", "guard",
        "            if not still(row):\n                return\n", "",
    ),
    Mutation("S10 the last goes first", "guard", "reverse=True", "reverse=False"),
    Mutation("S10 lowers before it pauses", "guard", "(safe_a[name] - at_least_a) * kept", "0"),
    Mutation("S10 maximum", "guard", "else demand.max_a", "else asked_a"),
    Mutation(
        "S10 minimum", "guard", "if asked_a < demand.min_a - _TOLERANCE_A or", "if"
    ),
    Mutation("S10 who is unknown", "guard", "or not asked_a > 0", "and not asked_a > 0"),
    Mutation("S10 one phase", "guard", "if count == 1 and", "if count == 0 and"),
]  # fmt: skip


@pytest.fixture
def mutated(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the name of a broken copy of the package that can be imported."""
    mutation: Mutation = request.param
    name = f"mutant_{MUTATIONS.index(mutation)}"
    copy = tmp_path / name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / f"{mutation.file}.py"
    source = file.read_text(encoding="utf-8")
    assert mutation.right in source, "the mutation has to follow the code"
    file.write_text(source.replace(mutation.right, mutation.wrong, 1), encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    importlib.invalidate_caches()
    yield name
    sys.path.remove(str(tmp_path))
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


@pytest.mark.parametrize(
    "mutated", MUTATIONS, indirect=True, ids=lambda mutation: mutation.rule
)
def test_a_broken_rule_is_caught(mutated: str) -> None:
    """At least one case file or check fails."""
    assert next(failures(mutated), None) is not None


def test_the_package_itself_passes() -> None:
    """What catches the mutants does not catch the original."""
    assert list(failures("custom_components.reev_ems.energy_management")) == []

"""Rules of the energy management, each with a line that breaks it.

What breaks the allocation and the guard (`ALLOCATION`) is noticed by the checks and case files, what breaks the step
(`STEP`) by the test that it names. test_mutations.py and mutate.py try them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """One line made wrong."""

    rule: str
    file: str
    right: str
    wrong: str
    test: str = ""
    """Of the step: the test that notices, without `test_` in front of its file's name."""


ALLOCATION = [
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
    Mutation("S2 unknown phases", "rows", "{None: _ANY}", "{None: (0,)}"),
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
    Mutation("imbalance rows", "rows", "        if self._pairs is not None:\n            pairs", "        if False:\n            pairs"),
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
    Mutation("imbalance sign", "imbalance", "base_a[p] - low_a[q]", "base_a[p]"),
    Mutation("imbalance margin", "imbalance", "- case.site.margin_a", ""),
    Mutation("imbalance support", "imbalance", "+ helped", ""),
    Mutation(
        "support is measured", "imbalance",
        "drawn_a = min(drawn_a, current_a)", "pass",
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
        "kind=(low_a, high_a, weight)", "kind=(low_a, high_a, 1.0)",
    ),
    Mutation(
        "own maximum", "filling", "(high_a / weight, -weight)", "(high_a / weight, 0.0)",
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
    Mutation("S10 margin", "guard", "limit_a - site.margin_a - base", "limit_a - base"),
    Mutation("S10 what a breaker bears", "guard", "- reserved + borne", "- reserved"),
    Mutation("what a breaker bears", "rows", "LimitKind.CIRCUIT_PHASE, name, borne_a", "LimitKind.CIRCUIT_PHASE, name, room_a"),
    Mutation("S10 circuits above", "guard", "here = parents[here]", "here = None"),
    Mutation("S10 what circuits carry", "guard", "below[here][name] = everybody[name]", "pass"),
    Mutation("S10 the power that circuits carry", "guard", "{name: n for name, (_, n)", "{name: 1.0 for name, (_, n)"),
    Mutation(
        "S10 circuit rows", "guard", "if circuit.limit_a is not None:", "if False:"
    ),
    Mutation(
        "S10 power rows", "guard", "if circuit.limit_w is not None:", "if False:"
    ),
    Mutation("S10 power base", "guard", "(circuit.limit_w - base_w)", "circuit.limit_w"),
    Mutation("S10 power reservations", "guard", "voltage_v - sum(reserved_a)\n            limit", "voltage_v\n            limit"),
    Mutation("S10 external limit", "guard", "if case.external_limit_w is not None:", "if False:"),
    Mutation("S10 user groups", "guard", "for group in site.user_groups:", "for group in ():"),
    Mutation("S10 user groups' members", "guard", "if group.id in d.groups", "if True"),
    Mutation("S10 user groups' amperes", "guard", "if group.limit_a is not None:", "if False:"),
    Mutation("S10 user groups' power", "guard", "if group.limit_w is not None:", "if False:"),
    Mutation("S10 user groups' margin", "guard", "limit_a - site.margin_a - reserved\n", "limit_a - reserved\n"),
    Mutation("S10 user groups' reservations in W", "guard", "group.limit_w / voltage_v - sum(reserved_a)", "group.limit_w / voltage_v"),
    Mutation("S10 pv rows", "guard", "yield _in_all(limit, room_a, mine, free_a)", "pass"),
    Mutation("S10 pv rows per phase", "guard", "if budget in case.surplus_a:", "if False:"),
    Mutation("S10 pv minimum", "guard", "if not d.solar}", "if False}"),
    Mutation(
        "S10 minimum in whole steps", "guard",
        "ceil(demands[name].min_a / step_a - 1e-9) * step_a", "demands[name].min_a",
    ),
    Mutation("S10 imbalance rows", "guard", "if site.imbalance is not None and", "if False and"),
    Mutation("S10 imbalance margin", "guard", "site.imbalance.limit_a - site.margin_a", "site.imbalance.limit_a"),
    Mutation("S10 imbalance relief", "guard", "room_a += case.imbalance_relief_a", "_ = case.imbalance_relief_a"),
    Mutation("S10 imbalance base", "guard", "- (p[1] - q[2])", ""),
    Mutation("S10 support of who draws", "guard", "helps[name] = max(0.0, min(", "helps[name] = max(99.0, min("),
    Mutation("S10 support of who gets less", "guard", "min(draw, permits_a[n])", "draw"),
    Mutation("S10 unknown phases of support", "guard", "(on := demand.phases) is None or (p in on", "(on := demand.phases or ()) and (p in on"),
    Mutation("S10 unknown phases", "guard", "PHASES if phase_count == 3 or not demand.phases else demand.phases", "demand.phases or ()"),
    Mutation("S10 NaN", "guard", "if isfinite(room_a) else load_a", "if isfinite(room_a) else 0.0"),
    Mutation("S10 unknown base", "guard", "or circuit.reserve_a", "or (0.0, 0.0, 0.0)"),
    Mutation("S10 in proportion", "guard", "max(0.0, 1 - excess_a / (excess_a - row.excess_a(least_a)))", "1.0"),
    Mutation(
        "S10 only as many as must", "guard",
        "        if row.excess_a(least_a) <= _TOLERANCE_A:\n            break\n", "",
    ),
    Mutation("S10 the last goes first", "guard", "reverse=True", "reverse=False"),
    Mutation("S10 lowers before it pauses", "guard", "(lowered_a[name] - least_a[name]) * kept", "0"),
    Mutation("S10 it only lowers", "guard", "if permit_a < safe_a[name]:", "if True:"),
    Mutation("S10 maximum", "guard", "else demand.max_a", "else asked_a"),
    Mutation(
        "S10 minimum", "guard", "if asked_a < demand.min_a - _TOLERANCE_A or", "if"
    ),
    Mutation("S10 who is unknown", "guard", "or not asked_a > 0", "and not asked_a > 0"),
    Mutation("S10 one phase", "guard", "if phase_count == 1 and", "if phase_count == 0 and"),
]  # fmt: skip

STEP = [
    # S1: nothing is booked with less than it draws or may draw.
    Mutation(
        "S1 booked with its draw", "envelope",
        "            high = most(high, draw.reports[-1].high)", "            pass",
        "controller.py::test_s1_a_car_that_draws_a_little_more_is_booked_with_what_it_draws",
    ),
    Mutation(
        "S1 decreases at once", "raises",
        "load_management:\n            value = target.value", "load_management:\n            value = max(target.value, value - 1)",
        "controller.py::test_s5_decreases_are_not_delayed_and_raises_are_15_s_apart",
    ),
    Mutation(
        "S1 a base load that rises counts at once", "base_load", "ceils), at_once)", "ceils), known)",
        "controller.py::test_s5_decreases_are_not_delayed_and_raises_are_15_s_apart",
    ),
    Mutation(
        "S1 a car is booked till it followed", "commands",
        "permit.left if raised else leaving(permit, item.standing, now_s, settings)", "permit.left",
        "rules.py::test_s6_a_car_is_booked_with_what_it_had_until_it_followed",
    ),
    Mutation(
        "S1 what a breaker bears is waited out", "meters", "if 0 < excess <= most * limit and heat < 1.0 else 0.0", "if False else 0.0",
        "rules.py::test_s5_a_pause_is_not_renewed_where_nobody_can_decide",
    ),
    Mutation(
        "S1 and not for long", "meters", "return now_s - base.over_s < settings.overload_wait_s", "return True",
        "controller.py::test_s10_a_wrong_allocation_does_not_get_past_the_guard",
    ),
    Mutation(
        "S1 a hard limit is not borne", "share", "if circuit.hard_limit or name in excluded", "if name in excluded",
        "controller.py::test_s10_a_wrong_allocation_does_not_get_past_the_guard",
    ),
    Mutation(
        "S1 both sets of phases during a change", "observe",
        "if memory.switched_s is not None and now_s < memory.switched_s + settings.settle_s:", "if False:",
        "rules.py::test_s1_both_sets_of_phases_are_booked_during_a_change",
    ),
    Mutation(
        "S1 an adopted permit can be had", "observe", "value = outlet.floor if value == outlet.floor else 0.0", "pass",
        "cars.py::test_s1_an_adopted_permit_is_one_that_the_charge_point_can_have",
    ),
    # S2: unknown is absent.
    Mutation(
        "S2 a phase that is missing", "meters",
        "    if circuit.limit_a is not None and any(\n        current_a[place] is None for place in places\n    ):\n        return None\n", "",
        "controller.py::test_s2_a_reading_without_a_phase_is_no_reading",
    ),
    Mutation(
        "S2 a phase that nobody loads", "meters",
        "current_a[place] is None for place in places", "value is None for value in current_a",
        "controller.py::test_s2_a_phase_that_nobody_loads_may_be_missing",
    ),
    Mutation(
        "S2 old readings of a connector", "envelope", "now_s - draw.reported_s > settings.reading_timeout_s", "False",
        "rules.py::test_s2_an_old_reading_of_a_car_is_none",
    ),
    Mutation(
        "S2 NaN from a charge point", "conduct", "if value is not None and isfinite(value)", "if value is not None",
        "rules.py::test_s2_what_is_no_number_is_no_report",
    ),
    Mutation(
        "S2 a phase of which nothing is said", "conduct",
        "return known if len(known) == outlet.phase_count else None", "return known + [0.0] * (outlet.phase_count - len(known))",
        "cars.py::test_s2_a_phase_of_which_nothing_is_said_is_used",
    ),
    Mutation(
        "S2 a power that is not told", "circuits",
        "sum(parts) * voltage_v if power_w is None", "0.0 if power_w is None",
        "controller.py::test_s2_a_power_that_a_meter_does_not_tell_is_not_nothing_above_it",
    ),
    Mutation(
        "S2 currents that are not told", "circuits", "instead if part is None else part", "part or 0.0",
        "controller.py::test_s2_currents_that_a_meter_does_not_tell_are_not_nothing_above_it",
    ),
    Mutation(
        "S2 a battery that fell silent", "surplus", "return None if battery_expected else free_w", "return free_w",
        "closed_loop.py::test_s2_a_battery_that_falls_silent_leaves_no_surplus",
    ),
    # S3: age only lowers.
    Mutation(
        "S3 a slow meter has its own pace", "meters", "max(settings.meter_hold_s, memory.interval_s * _HELD_INTERVALS)",
        "settings.meter_hold_s",
        "rules.py::test_s3_a_slow_meter_is_late_by_its_own_pace",
    ),
    Mutation(
        "S3 no raises below a late meter", "meters",
        "elif age_s is None or not 0 <= age_s <= hold_s(memory, settings):\n            late.add(name)\n        elif", "elif",
        "rules.py::test_s3_nothing_is_raised_below_a_late_meter",
    ),
    Mutation(
        "S3 a silent meter is one", "meters", "now_s - counted_from_s > settings.meter_timeout_s", "False",
        "controller.py::test_s3_a_meter_that_never_spoke_counts_as_silent_after_the_timeout",
    ),
    Mutation(
        "S3 failsafe", "choose", "elif not ages.failed.isdisjoint(outlet.metered):", "elif False:",
        "rules.py::test_s3_the_failsafe_ends_after_10_s_and_raises_begin_after_30_s",
    ),
    Mutation(
        "S3 back after fresh readings", "meters", "now_s - fresh_s >= settings.recovery_s", "True",
        "rules.py::test_s3_the_failsafe_ends_after_10_s_and_raises_begin_after_30_s",
    ),
    Mutation(
        "S3 raises after fresh readings", "meters", "now_s, now_s + settings.recovery_raise_s", "now_s, now_s",
        "rules.py::test_s3_the_failsafe_ends_after_10_s_and_raises_begin_after_30_s",
    ),
    Mutation(
        "S3 what a silent circuit leaves", "controller",
        "raise_from_s = max(raise_from_s, now_s + settings.recovery_raise_s)", "pass",
        "rules.py::test_s3_what_a_silent_circuit_leaves_is_not_handed_out_at_once",
    ),
    Mutation(
        "S3 a clock that runs backwards", "controller", "state.now_s + recovery_raise_s\n", "state.raise_from_s\n",
        "rules.py::test_s3_a_clock_that_ran_backwards_raises_nobody",
    ),
    # S5: the permit expires downwards.
    Mutation(
        "S5 a command says when it lapses", "commands", "expires_s=now_s + life_s - shift_s", "expires_s=None",
        "controller.py::test_s5_permits_expire_and_are_renewed_at_half_their_life",
    ),
    Mutation(
        "S5 renewed at half its life", "commands",
        "return now_s - permit.sent_s >= _life_s(permit.value, outlet, settings) / 2", "return False",
        "controller.py::test_s5_permits_expire_and_are_renewed_at_half_their_life",
    ),
    Mutation(
        "S5 a pause lives long", "commands", "    if value > outlet.floor:\n        return settings.profile_life_s\n", "    return settings.profile_life_s\n",
        "controller.py::test_s5_a_pause_lives_long_and_is_renewed_seldom",
    ),
    Mutation(
        "S5 the floor is not written again", "commands",
        "if permit.expires_s is None or (\n        permit.value == outlet.floor and not permit.one_phase\n    ):", "if permit.expires_s is None:",
        "rules.py::test_s5_a_permit_that_is_the_floor_lapses_to_itself",
    ),
    Mutation(
        "S5 the failsafe does not renew a pause", "commands", "elif _may_lapse(item, chosen, new) or not", "elif not",
        "rules.py::test_s5_a_pause_is_not_renewed_where_nobody_can_decide",
    ),
    # S6: raises into room that is there.
    Mutation(
        "S6 only what is left is raised into", "raises", "if part < 1:", "if False:",
        "rules.py::test_s7_raises_below_an_external_limit_wait_for_room",
    ),
    Mutation(
        "S6 a report shows that a car has followed", "conduct", "permit_now = followed(memory.permit, draw.reported_s)", "permit_now = memory.permit",
        "user_groups.py::test_a_raise_waits_until_another_member_has_come_down",
    ),
    Mutation(
        "S6 a meter shows it, too", "circuits", "shown = clear and fallen_a >= 0.5 * expected_a", "shown = False",
        "user_groups.py::test_a_raise_waits_until_another_member_has_come_down",
    ),
    Mutation(
        "S6 room needs agreement", "base_load", "AGREED_S: Final = 9.0", "AGREED_S: Final = 0.0",
        "cars.py::test_s6_room_needs_readings_that_agree_for_nine_seconds",
    ),
    Mutation(
        "S6 room after raises that were taken back", "raises", "return min(_LONGEST_STAND_S, _FIRST_STAND_S * 2.0 ** (times - 1))", "return 0.0",
        "cars.py::test_a_house_that_flickers_is_not_answered_all_the_time",
    ),
    Mutation(
        "S6 a settled car leaves its room", "conduct", "return replace(memory, draw_limit_a=wanted_a)", "return memory",
        "rules.py::test_s2_an_old_reading_of_a_car_is_none",
    ),
    Mutation(
        "S6 it gets its room back", "conduct", "return replace(memory, draw_limit_a=None)", "return memory",
        "closed_loop.py::test_s6_a_settled_car_leaves_its_room_and_gets_it_back",
    ),
    Mutation(
        "S6 steady for 15 s", "conduct", "draw.reported_s - draw.steady_s >= settings.settle_s", "True",
        "rules.py::test_s6_a_car_settles_only_once_it_was_steady_for_15_s",
    ),
    Mutation(
        "raises 15 s apart", "raises", "until_s = max(until_s, raised_s + settings.raise_interval_s)", "pass",
        "rules.py::test_raises_of_a_connector_are_15_s_apart",
    ),
    Mutation(
        "small raises wait", "raises", "step_a < settings.raise_step_a - _ROUNDING", "False",
        "controller.py::test_s5_a_small_raise_waits_until_its_room_stood_for_a_minute",
    ),
    Mutation(
        "small raises come", "raises", "\n        and now_s < room.since_s + settings.raise_small_after_s", "",
        "controller.py::test_s5_a_small_raise_waits_until_its_room_stood_for_a_minute",
    ),
    # S7: offline is not gone.
    Mutation(
        "S7 who comes back was base load", "circuits", "if item.emerged is NOTHING:", "if True:",
        "cars.py::test_s7_who_comes_back_was_base_load",
    ),
    Mutation(
        "S7 what a meter sees is base load", "choose", "if circuit.metered and loads.base_a[circuit.id] is not None:", "if False:",
        "controller.py::test_s7_offline_below_a_meter_is_base_load_at_once",
    ),
    Mutation(
        "S7 and says nothing any more", "envelope", "if memory.away or memory.state is ConnectorState.OFFLINE:", "if False:",
        "controller.py::test_s7_offline_counts_once_above_the_meter_that_sees_it",
    ),
    Mutation(
        "S7 booked where no meter sees it", "choose", "                total[index] += value\n", "                pass\n",
        "controller.py::test_s7_offline_counts_where_no_meter_sees_it",
    ),
    Mutation(
        "S7 who does not fall back", "observe",
        "if not self.outlet.connector.autonomous_fallback:\n            return self.outlet.load(self.outlet.maximum)\n        return", "return",
        "controller.py::test_s7_offline_counts_where_no_meter_sees_it",
    ),
    Mutation(
        "S7 in the external limit", "share", "chosen.reserved[root.id][3] + chosen.offline_w", "chosen.reserved[root.id][3]",
        "rules.py::test_s7_who_is_offline_takes_of_the_external_limit_what_another_has",
    ),
    Mutation(
        "S7 in raises below the external limit", "raises", " - chosen.offline_w", "",
        "rules.py::test_s7_raises_below_an_external_limit_wait_for_room",
    ),
    Mutation(
        "S7 in its user group", "share", "if item.is_offline:\n            load = item.unseen_load()\n        elif", "if",
        "user_groups.py::test_s7_a_member_that_went_offline_stays_booked_in_its_group",
    ),
    # S8: trust, but measure.
    Mutation(
        "S8 disobedience is noticed", "conduct",
        "memory.disobedient or draw.reported_s - over_s >= settings.disobedient_s", "False",
        "rules.py::test_s8_who_obeys_for_30_s_is_forgiven",
    ),
    Mutation(
        "S8 booked at its maximum", "choose", "outlet.maximum if memory.disobedient else 0.0", "0.0",
        "closed_loop.py::test_s8_a_disobedient_connector_is_booked_at_its_maximum",
    ),
    Mutation(
        "S8 a car has time to follow", "conduct", "draw.current_a <= may_a + settings.disobedient_a", "False",
        "rules.py::test_s8_a_car_that_has_not_followed_yet_is_not_disobedient",
    ),
    Mutation(
        "S8 forgiven after 30 s", "conduct", "if draw.reported_s - obeyed_s >= settings.disobedient_s * 2:", "if False:",
        "rules.py::test_s8_who_obeys_for_30_s_is_forgiven",
    ),
    Mutation(
        "S8 no raise for who drew more", "raises", "if memory.over_s is not None:", "if False:",
        "rules.py::test_s8_who_draws_more_than_its_permit_is_not_raised",
    ),
    Mutation(
        "S8 sent again when charging begins", "observe", "        permit = replace(permit, sent_s=None)\n", "        pass\n",
        "controller.py::test_s8_the_permit_is_sent_again_when_the_car_begins_to_charge",
    ),
    Mutation(
        "S8 sent again if not accepted", "commands",
        "if _is_refused(item, permit) and now_s - permit.sent_s >= resend_s:", "if False:",
        "controller.py::test_s8_a_permit_that_was_not_accepted_is_sent_again_and_stays_booked",
    ),
    Mutation(
        "S8 sent again ever more seldom", "commands", "** min(permit.resent, _SELDOM)", "** 0",
        "controller.py::test_s8_a_permit_that_was_not_accepted_is_sent_again_and_stays_booked",
    ),
    Mutation(
        "S8 what is accepted stays booked", "envelope", "value = min(accepted, outlet.maximum)", "pass",
        "controller.py::test_s8_a_permit_that_was_not_accepted_is_sent_again_and_stays_booked",
    ),
    Mutation(
        "a pause of who ignores it ends the transaction", "commands", "and not outlet.connector.obeys_pause", "and False",
        "cars.py::test_a_pause_ends_the_transaction_where_a_permit_of_nothing_is_ignored",
    ),
    # S9: check before you go.
    Mutation(
        "S9 floors per phase", "outlets", "if circuit.limit_a is not None:\n            issues", "if False:\n            issues",
        "controller.py::test_s9_floors_that_exceed_a_limit_are_an_issue",
    ),
    Mutation(
        "S9 floors in power", "outlets", "if circuit.limit_w is not None and total[3] > circuit.limit_w:", "if False:",
        "rules.py::test_s9_floors_reserve_and_margin_count_in_amperes_and_watts",
    ),
    Mutation(
        "S9 reserve", "outlets", "circuit.id: [*circuit.reserve_a, sum(circuit.reserve_a) * site.voltage_v]", "circuit.id: [0.0] * 4",
        "rules.py::test_s9_floors_reserve_and_margin_count_in_amperes_and_watts",
    ),
    Mutation(
        "S9 margin", "outlets", "if value + site.margin_a > limit_a", "if value > limit_a",
        "rules.py::test_s9_floors_reserve_and_margin_count_in_amperes_and_watts",
    ),
    Mutation(
        "S9 who does not fall back", "outlets",
        "outlet.floor if outlet.connector.autonomous_fallback else outlet.maximum", "outlet.floor",
        "controller.py::test_s9_who_does_not_fall_back_counts_with_his_maximum",
    ),
    # S10: the guard.
    Mutation(
        "S10 the guard is asked", "share", "permit_a, lowered_by = guarded[name]", "permit_a, lowered_by = item.current_a if item else 0.0, None",
        "controller.py::test_s10_a_wrong_allocation_does_not_get_past_the_guard",
    ),
    # S13: overload escalates.
    Mutation(
        "S13 who ignores limits is stopped", "escalation", "return Measure.STOP if over else None", "return None",
        "run.py::test_who_ignores_its_permit_is_stopped_and_taken_out_of_service",
    ),
    Mutation(
        "S13 then taken out of service", "escalation", "            return Measure.INOPERATIVE\n", "            return None\n",
        "run.py::test_who_ignores_its_permit_is_stopped_and_taken_out_of_service",
    ),
    Mutation(
        "S13 and put back", "escalation", "if not overloaded:\n        _restore(", "if False:\n        _restore(",
        "run.py::test_who_ignores_its_permit_is_stopped_and_taken_out_of_service",
    ),
    Mutation(
        "S13 unless it is forbidden", "escalation", "or not settings.may_stop_transactions", "",
        "cars.py::test_s13_measures_can_be_forbidden",
    ),
    Mutation(
        "S13 what is told to be overloaded", "circuits", "now_s - memory.over_s >= after_s", "False",
        "cars.py::test_s13_measures_can_be_forbidden",
    ),
    # S14: meters are put to the test.
    Mutation(
        "S14 a doubt holds", "witnesses", "            late.add(name)\n", "            pass\n",
        "cars.py::test_s14_a_meter_that_shows_less_than_the_cars_draw_is_not_believed",
    ),
    Mutation(
        "S14 a finding is failsafe", "witnesses", "            failed.add(name)\n", "            pass\n",
        "cars.py::test_s14_a_meter_that_shows_less_than_the_cars_draw_is_not_believed",
    ),
    Mutation(
        "S14 what feeds in may be said", "witnesses", "        return circuit.generation\n", "        pass\n",
        "cars.py::test_s14_a_meter_that_shows_less_than_the_cars_draw_is_not_believed",
    ),
    # Cars as they are.
    Mutation(
        "phases that a car uses", "conduct", "return replace(memory, used=loaded, pattern=None)", "return memory",
        "cars.py::test_a_one_phase_car_at_a_three_phase_outlet_is_counted_on_its_phase",
    ),
    Mutation(
        "phases that it used the last time", "observe", "    return outlet.every[:count]", "    return None",
        "cars.py::test_what_was_learnt_of_a_users_car_counts_from_the_beginning",
    ),
    Mutation(
        "S1 a phase on which current appears", "conduct",
        "more = any(known[own] >= 2 * _IDLE_A for own in outlet.every if own not in used)", "more = False",
        "cars.py::test_s1_a_phase_on_which_current_appears_counts_at_once",
    ),
    Mutation(
        "one minimum for all that sleep", "share", "pool[circuit.id] = most(pool.get(circuit.id, NOTHING), load)",
        "pool[circuit.id] = tuple(map(sum, zip(pool.get(circuit.id, NOTHING), load)))",
        "cars.py::test_one_minimum_is_kept_for_all_that_sleep",
    ),
    Mutation(
        "S1 it is kept", "share", "kept = pool.get(name, NOTHING)", "kept = NOTHING",
        "cars.py::test_s1_who_wakes_is_counted_before_a_second_one_does",
    ),
    Mutation(
        "who charges nothing sleeps", "choose", "return now_s - memory.sleeps_s >= settings.sleep_after_s", "return False",
        "cars.py::test_a_car_that_draws_nothing_of_its_offer_sleeps_though_it_says_charging",
    ),
    Mutation(
        "two minutes to take an offer", "choose", "_WAKING_S = 120.0", "_WAKING_S = 0.0",
        "cars.py::test_a_car_that_was_paused_has_two_minutes_to_take_its_offer",
    ),
    Mutation(
        "sleepers give way", "share", "if sleepers and _lacks(allocation, demands):", "if False:",
        "rules.py::test_a_full_car_gives_way_to_one_that_wants_to_charge",
    ),
    # Rotation, minimum times, phase switching.
    Mutation(
        "rotation", "rotation", "if now_s < due_s:", "if True:",
        "rules.py::test_who_waits_for_its_turn_is_told_how_long",
    ),
    Mutation(
        "rotation after a slot", "rotation", "+ settings.rotation_slot_s\n    if", "\n    if",
        "rules.py::test_who_waits_for_its_turn_is_told_how_long",
    ),
    Mutation(
        "turns end one at a time", "rotation", "due_s = max(due_s, state.yielded_s + settings.rotation_slot_s / len(running))", "pass",
        "rules.py::test_of_several_who_charge_one_at_a_time_gives_way",
    ),
    Mutation(
        "no more than a few pauses", "rotation", "return memory.pauses + waited >= settings.max_pauses", "return False",
        "rules.py::test_a_car_that_was_paused_often_enough_keeps_its_minimum",
    ),
    Mutation(
        "who waits for its turn is told", "share", "remaining_s=rotation.next_s", "remaining_s=None",
        "rules.py::test_who_waits_for_its_turn_is_told_how_long",
    ),
    Mutation(
        "minimum on-time", "share", "inside_min_on=memory.on_s is not None\n", "inside_min_on=False\n",
        "rules.py::test_who_just_started_is_not_paused_for_another",
    ),
    Mutation(
        "one phase at once", "share", "one_phase = counts.get(name) == 1", "one_phase = False",
        "controller.py::test_one_phase_instead_of_nothing_and_back",
    ),
    Mutation(
        "three phases after ten minutes", "share", "elif now_s - since_s >= settings.phase_switch_s:", "else:",
        "controller.py::test_one_phase_instead_of_nothing_and_back",
    ),
    Mutation(
        "three phases with something to spare", "share", " + settings.phase_switch_w", "",
        "rules.py::test_three_phases_need_200_w_more_than_their_minimum",
    ),
    Mutation(
        "phases in the command", "commands", "phase_count = 1 if one_phase else 3", "pass",
        "controller.py::test_one_phase_instead_of_nothing_and_back",
    ),
    # PV surplus.
    Mutation(
        "start delay", "surplus", "sun.since_s + settings.pv_start_delay_s - now_s", "0.0",
        "closed_loop.py::test_surplus_starts_a_car_after_the_delay_and_is_followed",
    ),
    Mutation(
        "stop delay", "surplus", "sun.since_s + settings.pv_stop_delay_s - now_s", "0.0",
        "rules.py::test_pv_stop_delay_minimum_on_and_off_times_are_kept",
    ),
    Mutation(
        "minimum on-time in the sun", "surplus", "on_s + settings.min_on_s - now_s,", "0.0,",
        "rules.py::test_pv_stop_delay_minimum_on_and_off_times_are_kept",
    ),
    Mutation(
        "minimum off-time in the sun", "surplus", "0.0 if sun.off_s is None else sun.off_s + settings.min_off_s - now_s", "0.0",
        "controller.py::test_after_the_sun_went_a_pause_of_a_minute_is_kept",
    ),
    Mutation(
        "start threshold", "surplus", "-settings.pv_start_threshold_w", "0.0",
        "controller.py::test_pv_reserve_and_thresholds_are_kept",
    ),
    Mutation(
        "stop threshold", "surplus", "else settings.pv_stop_threshold_w", "else 0.0",
        "rules.py::test_pv_stop_threshold_lets_so_much_be_imported",
    ),
    Mutation(
        "reserve in the sun", "surplus", " - settings.pv_reserve_w", "",
        "controller.py::test_pv_reserve_and_thresholds_are_kept",
    ),
    Mutation(
        "one start per settle time", "surplus", "0.0 if started_s is None else started_s + settings.settle_s - now_s", "0.0",
        "controller.py::test_pv_starts_one_car_per_settle_time_and_keeps_what_another_waits_for",
    ),
    Mutation(
        "surplus that another waits for", "surplus", "        take(applicant, wanted_w)\n", "",
        "rules.py::test_pv_surplus_that_one_waits_for_is_reserved",
    ),
    Mutation(
        "PV switch", "choose", "if plan.site.pv_surplus or any(circuit.follows_pv for circuit in item.outlet.path):", "if True:",
        "rules.py::test_the_pv_switch_is_for_mode_automatic_alone",
    ),
    Mutation(
        "PV switch is for automatic", "choose", "if connector.mode is not ChargingMode.AUTOMATIC:", "if connector.mode is ChargingMode.OFF:",
        "rules.py::test_the_pv_switch_is_for_mode_automatic_alone",
    ),
    Mutation(
        "PV switch of a group", "choose", " or any(circuit.follows_pv for circuit in item.outlet.path)", "",
        "rules.py::test_automatic_follows_the_switch_of_a_group_and_means_what_it_is_set_to",
    ),
    Mutation(
        "what automatic means", "choose", "return connector.automatic_mode", "return ChargingMode.SOLAR",
        "rules.py::test_automatic_follows_the_switch_of_a_group_and_means_what_it_is_set_to",
    ),
    Mutation(
        "a group's own PV", "choose", "if circuit.own_pv and circuit.parent is not None\n        ),", "if False\n        ),",
        "controller.py::test_a_group_with_pv_of_its_own_takes_no_more_than_its_surplus",
    ),
    Mutation(
        "surplus per phase", "choose", "if settings.pv_per_phase and base_a is not None:", "if False:",
        "controller.py::test_pv_surplus_counts_per_phase_where_the_meter_does_not_net",
    ),
    Mutation(
        "the battery moves with the cars", "surplus", "free_w + base_w - house_w", "free_w + battery.power_w",
        "lost_charging.py::test_a_battery_that_keeps_the_grid_at_nothing_lets_the_car_be",
    ),
    Mutation(
        "the battery first", "surplus", "if battery.soc_pct is None or battery.soc_pct < threshold:", "if False:",
        "closed_loop.py::test_the_battery_goes_first_below_its_state_of_charge",
    ),
    Mutation(
        "the minimum of solar_min", "choose", "draw = least(draw, item.load(item.outlet.minimum))", "draw = NOTHING",
        "rules.py::test_the_minimum_of_solar_min_is_no_surplus_for_another",
    ),
    # Imbalance.
    Mutation(
        "imbalance in the step", "share", "imbalance_base_a=skew_a", "imbalance_base_a=None",
        "controller.py::test_imbalance_is_held_and_a_violation_is_acted_on_after_its_hold_time",
    ),
    Mutation(
        "imbalance counts the least on the phase that helps", "share", "imbalance_low_a=skew_low_a", "imbalance_low_a=None",
        "controller.py::test_imbalance_is_held_and_a_violation_is_acted_on_after_its_hold_time",
    ),
    Mutation(
        "imbalance hold time", "share", "if now_s - since_s < plan.site.settings.imbalance_hold_s:", "if False:",
        "rules.py::test_imbalance_is_acted_on_after_its_hold_time",
    ),
    Mutation(
        "imbalance is acted on", "share", "if now_s - since_s < plan.site.settings.imbalance_hold_s:", "if True:",
        "controller.py::test_imbalance_is_held_and_a_violation_is_acted_on_after_its_hold_time",
    ),
    # The external limit.
    Mutation(
        "external limit in the step", "share", "external_limit_w=external_w", "external_limit_w=None",
        "rules.py::test_s7_who_is_offline_takes_of_the_external_limit_what_another_has",
    ),
    Mutation(
        "external limit in raises", "raises", "rooms[3] = left_w if rooms[3] is None else min(rooms[3], left_w)", "pass",
        "rules.py::test_s7_raises_below_an_external_limit_wait_for_room",
    ),
    Mutation(
        "external limit in the failsafe", "share", "if total_w <= external_limit_w:", "if True:",
        "rules.py::test_the_failsafe_keeps_an_external_limit",
    ),
    # What a person switches.
    Mutation(
        "charging switched off", "choose", "if not item.seen.enabled:", "if False:",
        "controller.py::test_switched_off_and_mode_off_pause",
    ),
    Mutation(
        "who may not charge", "choose", "elif not item.seen.authorized:", "elif False:",
        "controller.py::test_session_of_a_user_who_may_not_charge_is_paused",
    ),
    Mutation(
        "load management off", "choose", "elif not plan.site.load_management:", "elif False:",
        "controller.py::test_load_management_off_holds_everybody_at_the_failsafe",
    ),
    Mutation(
        "priorities of users", "observe", "priority = max(priority, *seen.priorities)", "pass",
        "controller.py::test_a_user_with_priority_goes_first",
    ),
]  # fmt: skip

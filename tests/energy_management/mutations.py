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
    Mutation("imbalance sign", "imbalance", "base_a[p] - base_a[q]", "base_a[p]"),
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
    Mutation("S10 imbalance base", "guard", "- (p[1] - q[1])", ""),
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
        "S1 booked with its draw", "turns",
        "self._most = most(self._allowed_load, draw.high)", "pass",
        "controller.py::test_s1_a_car_that_draws_a_little_more_is_booked_with_what_it_draws",
    ),
    Mutation(
        "S1 decreases at once", "raises",
        "            turn.new = turn.target\n            if memory.room_s",
        "            turn.new = min(turn.new, max(turn.target, turn.new - 1))\n            if memory.room_s",
        "controller.py::test_s5_decreases_are_not_delayed_and_raises_are_15_s_apart",
    ),
    Mutation(
        "S1 base load", "circuits", "self.meters[name] = estimate(", "estimate(",
        "controller.py::test_s5_decreases_are_not_delayed_and_raises_are_15_s_apart",
    ),
    # S2: unknown is absent.
    Mutation(
        "S2 a phase that is missing", "base_load",
        "if circuit.limit_a is not None and any(\n        current_a[place] is None for place in places\n    ):\n        return None",
        "",
        "controller.py::test_s2_a_reading_without_a_phase_is_no_reading",
    ),
    Mutation(
        "S2 a phase that nobody loads", "base_load",
        "current_a[place] is None for place in places", "value is None for value in current_a",
        "controller.py::test_s2_a_phase_that_nobody_loads_may_be_missing",
    ),
    Mutation(
        "S1 each lowering has its own time", "commands", "turn.standing", "turn.allowed",
        "overload.py::test_s1_loads_that_jump_drift_and_flicker_break_no_limit_for_long",
    ),
    Mutation(
        "S1 reports from before a lowering", "turns",
        "upper = permitted if came_down else allowed", "pass",
        "overload.py::test_s1_loads_that_jump_drift_and_flicker_break_no_limit_for_long",
    ),
    Mutation(
        "S1 permits end with the session", "turns",
        "        if not self.steered:\n            upper", "        if False:\n            upper",
        "overload.py::test_s1_a_session_that_ended_hides_no_load",
    ),
    Mutation(
        "S1 the floor on one phase is told", "commands",
        "    if turn.one_phase != permit.one_phase and permit.value > 0:\n        return True\n    if permit.sent_s is None:\n        return permit.expires_s is not None\n",
        "    if permit.sent_s is None:\n        return permit.expires_s is not None\n    if turn.one_phase != permit.one_phase and permit.value > 0:\n        return True\n",
        "overload.py::test_s1_who_is_to_keep_its_floor_on_one_phase_is_told",
    ),
    Mutation(
        "S1 loads that drift", "base_load", "_DRIFT_A_PER_S = 0.4", "_DRIFT_A_PER_S = 0.0",
        "overload.py::test_s1_a_load_that_drifts_is_followed",
    ),
    Mutation(
        "S1 lowerings that no meter shows", "circuits", "fall_a > SHOWN_A", "fall_a > 0",
        "overload.py::test_s1_a_load_that_drifts_is_followed",
    ),
    Mutation(
        "what flickers is no fall", "base_load", "_SEEN_PART = 1 / 6", "_SEEN_PART = 0",
        "meter_evidence.py::test_a_meter_that_is_late_and_flickers_has_one_overload_answered_once",
    ),
    Mutation(
        "S1 a lowering on top of another", "base_load",
        "if memory.base is None:\n        return memory\n    since_s",
        "if memory.base is None or memory.cut:\n        return memory\n    since_s",
        "overload.py::test_s1_a_load_that_comes_over_two_readings_is_answered_as_one",
    ),
    Mutation(
        "S1 a report of who has followed", "turns",
        "upper = permitted if came_down else allowed", "upper = allowed",
        "overload.py::test_s1_a_report_at_the_permit_shows_that_the_car_has_followed",
    ),
    Mutation(
        "S6 who was lowered may draw less than he reported", "turns",
        "if obeys:\n                low", "if False:\n                low",
        "overload.py::test_s6_a_reading_that_is_looked_at_twice_raises_nobody",
    ),
    Mutation(
        "S2 a battery that fell silent", "surplus",
        "return None if battery_expected else free_w", "return free_w",
        "closed_loop.py::test_s2_a_battery_that_falls_silent_leaves_no_surplus",
    ),
    Mutation(
        "S2 old readings of a connector", "turns",
        "if now_s - draw.reported_s <= settings.reading_timeout_s:", "if True:",
        "rules.py::test_s2_an_old_reading_of_a_car_is_none",
    ),
    Mutation(
        "S2 NaN from a charge point", "occupancy",
        "if value is not None and isfinite(value)", "if value is not None",
        "rules.py::test_s2_what_is_no_number_is_no_report",
    ),
    # S3: age only lowers.
    Mutation(
        "S3 no raises below a late meter", "circuits",
        "elif age_s is None or not 0 <= age_s <= settings.meter_hold_s:\n                self.late.add(name)\n            elif",
        "elif",
        "rules.py::test_s3_nothing_is_raised_below_a_late_meter",
    ),
    Mutation(
        "S3 a silent meter is one", "base_load",
        "now_s - counted_from_s > settings.meter_timeout_s", "False",
        "closed_loop.py::test_s3_a_silent_meter_leads_to_the_failsafe_and_back",
    ),
    Mutation(
        "S3 failsafe", "candidates",
        "elif turn.failed:\n            turn.reserved = True", "elif False:\n            turn.reserved = True",
        "closed_loop.py::test_s3_only_the_circuit_with_the_silent_meter_goes_to_the_failsafe",
    ),
    Mutation(
        "S3 back after fresh readings", "base_load",
        "now_s - fresh_s >= settings.recovery_s", "True",
        "rules.py::test_s3_the_failsafe_ends_after_10_s_and_raises_begin_after_30_s",
    ),
    Mutation(
        "S3 raises after fresh readings", "base_load",
        "now_s, now_s + settings.recovery_raise_s", "now_s, now_s",
        "rules.py::test_s3_the_failsafe_ends_after_10_s_and_raises_begin_after_30_s",
    ),
    Mutation(
        "S3 what a silent circuit leaves", "controller",
        "raise_from_s = max(raise_from_s, now_s + settings.recovery_raise_s)", "pass",
        "rules.py::test_s3_what_a_silent_circuit_leaves_is_not_handed_out_at_once",
    ),
    Mutation(
        "S3 a clock that runs backwards", "controller",
        "raise_from_s = now_s + settings.recovery_raise_s\n\n    circuits", "pass\n\n    circuits",
        "rules.py::test_s3_a_clock_that_ran_backwards_raises_nobody",
    ),
    # S5: the permit expires downwards.
    Mutation(
        "S5 permits lapse", "turns",
        "if permit.expires_s is not None and now_s >= permit.expires_s:", "if False:",
        "controller.py::test_s7_offline_counts_its_floor_where_no_meter_sees_it",
    ),
    Mutation(
        "S5 renewed at half its life", "commands",
        "return now_s - permit.sent_s >= _life_s(permit.value, outlet, settings) / 2", "return False",
        "controller.py::test_s5_permits_expire_and_are_renewed_at_half_their_life",
    ),
    Mutation(
        "S5 a pause lives long", "commands",
        "if value > outlet.floor:\n        return settings.profile_life_s\n", "return settings.profile_life_s\n",
        "controller.py::test_s5_a_pause_lives_long_and_is_renewed_seldom",
    ),
    Mutation(
        "S5 the floor is not written again", "commands",
        "if permit.expires_s is None or (\n        permit.value == outlet.floor and not permit.one_phase\n    ):", "if permit.expires_s is None:",
        "rules.py::test_s5_a_permit_that_is_the_floor_lapses_to_itself",
    ),
    Mutation(
        "S5 the floor on one phase is renewed", "commands", " and not permit.one_phase", "",
        "overload.py::test_s5_the_floor_on_one_phase_is_renewed",
    ),
    Mutation(
        "S5 the failsafe does not renew a pause", "commands", "elif _may_lapse(turn) or not", "elif not",
        "rules.py::test_s5_a_pause_is_not_renewed_where_nobody_can_decide",
    ),
    # S6: raises into room that is there.
    Mutation(
        "S6 the car is booked till it followed", "occupancy",
        "            value = left.value", "            pass",
        "rules.py::test_s6_a_car_is_booked_with_what_it_had_until_it_followed",
    ),
    Mutation(
        "S6 the room of a session that ended", "candidates",
        "turn.without_session(now_s, settings)", "turn.known or (0.0,) * 4",
        "overload.py::test_s6_room_of_a_session_that_ended_is_there_once_its_car_has_stopped",
    ),
    Mutation(
        "S6 only what is left is raised into", "raises",
        "part < 1:", "False:",
        "closed_loop.py::test_s6_a_raise_waits_until_the_other_car_has_come_down",
    ),
    Mutation(
        "S6 a settled car leaves its room", "occupancy",
        "return replace(memory, draw_limit_a=wanted_a)", "return memory",
        "closed_loop.py::test_s6_a_settled_car_leaves_its_room_and_gets_it_back",
    ),
    Mutation(
        "S6 it gets its room back", "occupancy",
        "return replace(memory, draw_limit_a=None)", "return memory",
        "closed_loop.py::test_s6_a_settled_car_leaves_its_room_and_gets_it_back",
    ),
    Mutation(
        "S6 steady for 15 s", "occupancy",
        "draw.reported_s - draw.steady_s >= settings.settle_s", "True",
        "rules.py::test_s6_a_car_settles_only_once_it_was_steady_for_15_s",
    ),
    Mutation(
        "raises 15 s apart", "raises",
        "if raised_s is not None and now_s < raised_s + settings.raise_interval_s:", "if False:",
        "rules.py::test_raises_of_a_connector_are_15_s_apart",
    ),
    Mutation(
        "small raises wait", "raises", "step_a < settings.raise_step_a - _ROUNDING", "False",
        "controller.py::test_s5_a_small_raise_waits_until_its_room_stood_for_a_minute",
    ),
    Mutation(
        "small raises come", "raises",
        "and now_s < room_s + settings.raise_small_after_s", "",
        "controller.py::test_s5_a_small_raise_waits_until_its_room_stood_for_a_minute",
    ),
    # S7: offline is not gone.
    Mutation(
        "S7 who comes back was base load", "circuits",
        "if turn.emerged is not NOTHING:", "if False:",
        "lost_charging.py::test_s7_a_restart_costs_nobody_his_session",
    ),
    Mutation(
        "S7 who is away says nothing", "turns",
        "replace(memory, guess=Guess(), draw=None)", "memory",
        "lost_charging.py::test_s7_who_comes_back_costs_nobody_his_session",
    ),
    Mutation(
        "S8 what was permitted before a restart", "turns",
        "permit.expires_s is permit.raised_s is permit.lowered_s is None", "False",
        "lost_charging.py::test_s7_a_restart_costs_nobody_his_session",
    ),
    Mutation(
        "S6 nothing is raised into a guess", "circuits",
        "if turn.doubt is not NOTHING:", "if False:",
        "controller.py::test_dc_is_permitted_in_watts",
    ),
    Mutation(
        "S2 a guess ends", "turns",
        "elif now_s >= since_s + settings.reading_timeout_s:", "elif False:",
        "controller.py::test_dc_is_permitted_in_watts",
    ),
    Mutation(
        "a raise outdates a report", "turns",
        "return raised_s is not None and draw.reported_s < raised_s + settings.follow_s", "return False",
        "lost_charging.py::test_a_report_from_before_a_raise_takes_nothing_back",
    ),
    Mutation(
        "S2 a power that is not told", "circuits",
        "sum(parts) * voltage_v if power_w is None", "0.0 if power_w is None",
        "controller.py::test_s2_a_power_that_a_meter_does_not_tell_is_not_nothing_above_it",
    ),
    Mutation(
        "S2 currents that are not told", "circuits",
        "instead if part is None else part", "part or 0.0",
        "controller.py::test_s2_currents_that_a_meter_does_not_tell_are_not_nothing_above_it",
    ),
    Mutation(
        "S7 booked in every circuit", "circuits", "                add(sums[name], load)\n", "",
        "closed_loop.py::test_s7_an_offline_charge_point_keeps_its_booking_until_its_permit_lapsed",
    ),
    Mutation(
        "S7 its floor where no meter sees it", "turns",
        "if metered and permit.expires_s is None", "if permit.expires_s is None",
        "controller.py::test_s7_offline_counts_its_floor_where_no_meter_sees_it",
    ),
    Mutation(
        "S7 once above the meter that sees it", "circuits", "metered=circuit.metered or in_base", "metered=circuit.metered",
        "controller.py::test_s7_offline_counts_once_above_the_meter_that_sees_it",
    ),
    Mutation(
        "S7 who does not fall back", "turns",
        "if not outlet.connector.autonomous_fallback:\n            return outlet.load(outlet.maximum)", "",
        "controller.py::test_s7_who_does_not_fall_back_stays_booked_at_his_maximum",
    ),
    Mutation(
        "S7 in the external limit", "sharing", " + circuits.offline_in_base_w", "",
        "rules.py::test_s7_who_is_offline_takes_of_the_external_limit_what_another_has",
    ),
    Mutation(
        "S7 in raises below the external limit", "raises", " - circuits.offline_in_base_w", "",
        "rules.py::test_s7_raises_below_an_external_limit_wait_for_room",
    ),
    Mutation(
        "S7 in the surplus", "candidates",
        "draw = turn.known or turn.offline_load(now_s, settings, metered=True)", "draw = turn.known or NOTHING",
        "controller.py::test_s7_who_is_offline_leaves_no_surplus_before_its_draw_is_base_load",
    ),
    Mutation(
        "S7 in its user group", "raises",
        "load = turn.offline_load(now_s, site.settings, metered=False)", "pass",
        "user_groups.py::test_s7_a_member_that_went_offline_stays_booked_in_its_group",
    ),
    # S8: trust, but measure.
    Mutation(
        "S8 disobedience is noticed", "occupancy",
        "memory.disobedient or draw.reported_s - over_s >= settings.disobedient_s", "False",
        "closed_loop.py::test_s8_a_disobedient_connector_is_booked_at_its_maximum",
    ),
    Mutation(
        "S8 booked at its maximum", "candidates",
        "turn.booked = turn.occupied(outlet.maximum)", "turn.booked = turn.occupied(turn.new)",
        "closed_loop.py::test_s8_a_disobedient_connector_is_booked_at_its_maximum",
    ),
    Mutation(
        "S8 a car has time to follow", "occupancy",
        "draw.current_a <= value * outlet.unit_a + settings.disobedient_a", "False",
        "rules.py::test_s8_a_car_that_has_not_followed_yet_is_not_disobedient",
    ),
    Mutation(
        "S8 forgiven after 30 s", "occupancy",
        "if draw.reported_s - obeyed_s >= settings.disobedient_s * 2:", "if False:",
        "rules.py::test_s8_who_obeys_for_30_s_is_forgiven",
    ),
    Mutation(
        "S8 no raise for who drew more", "raises", "if turn.memory.over_s is not None:", "if False:",
        "rules.py::test_s8_who_draws_more_than_its_permit_is_not_raised",
    ),
    Mutation(
        "S8 sent again when charging begins", "turns",
        "permit = replace(permit, sent_s=None)", "pass",
        "controller.py::test_s8_the_permit_is_sent_again_when_the_car_begins_to_charge",
    ),
    Mutation(
        "S8 sent again to who comes back", "turns",
        "memory = replace(memory, permit=replace(memory.permit, sent_s=None))", "pass",
        "overload.py::test_s8_who_comes_back_is_told_its_permit_again",
    ),
    Mutation(
        "S8 sent again to who does not obey", "occupancy",
        "if disobedient and not memory.disobedient:", "if False:",
        "overload.py::test_s8_who_does_not_obey_is_told_once_more",
    ),
    Mutation(
        "S8 sent again if not accepted", "commands",
        "if _is_refused(turn, permit) and now_s - permit.sent_s >= resend_s:", "if False:",
        "controller.py::test_s8_a_permit_that_was_not_accepted_is_sent_again_and_stays_booked",
    ),
    Mutation(
        "S8 sent again ever more seldom", "commands", "** min(permit.resent, _SELDOM)", "** 0",
        "controller.py::test_s8_a_permit_that_was_not_accepted_is_sent_again_and_stays_booked",
    ),
    Mutation(
        "S8 what is accepted stays booked", "occupancy",
        "value = min(accepted, outlet.maximum)", "pass",
        "controller.py::test_s8_a_permit_that_was_not_accepted_is_sent_again_and_stays_booked",
    ),
    Mutation(
        "who may not charge", "candidates", "        and turn.seen.authorized\n", "",
        "controller.py::test_session_of_a_user_who_may_not_charge_is_paused",
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
        "external limit in the failsafe", "candidates", "if total_w <= external_limit_w:", "if True:",
        "rules.py::test_the_failsafe_keeps_an_external_limit",
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
        "S10 the guard is asked", "sharing", "permit_a, lowered_by = guarded[name]", "permit_a, lowered_by = item.current_a if item else 0.0, None",
        "controller.py::test_s10_a_wrong_allocation_does_not_get_past_the_guard",
    ),
    # Rotation, minimum times, phase switching.
    Mutation(
        "rotation", "sharing", "            _end_turn(turn, now_s)\n", "            pass\n",
        "closed_loop.py::test_rotation_gives_everybody_a_turn",
    ),
    Mutation(
        "rotation after a slot", "sharing", "now_s - state.slot_s >= settings.rotation_slot_s", "False",
        "closed_loop.py::test_rotation_gives_everybody_a_turn",
    ),
    Mutation(
        "rotation ends where everybody fits", "sharing", "    if lacking:\n", "    if True:\n",
        "rules.py::test_where_everybody_fits_there_are_no_turns",
    ),
    Mutation(
        "who waits for its turn is told", "sharing", "_name_turns(candidates.turns, slot_s", "str(slot_s",
        "rules.py::test_who_waits_for_its_turn_is_told_how_long",
    ),
    Mutation(
        "minimum on-time", "sharing", "inside_min_on=memory.on_s is not None", "inside_min_on=False",
        "rules.py::test_who_just_started_is_not_paused_for_another",
    ),
    Mutation(
        "minimum pause", "candidates", "elif (wait_s := _pause_left_s(turn, now_s, settings)) > 0:", "elif (wait_s := 0.0) > 0:",
        "controller.py::test_who_was_paused_stays_so_for_a_while_and_a_newcomer_does_not",
    ),
    Mutation(
        "minimum pause is for lack of room", "commands", "off_s=now_s if lacked else None", "off_s=now_s",
        "controller.py::test_switched_off_and_mode_off_pause",
    ),
    Mutation(
        "one phase at once", "sharing", "turn.one_phase = counts.get(name) == 1", "pass",
        "controller.py::test_one_phase_instead_of_nothing_and_back",
    ),
    Mutation(
        "three phases after ten minutes", "sharing", "elif now_s - since_s >= settings.phase_switch_s:", "else:",
        "controller.py::test_one_phase_instead_of_nothing_and_back",
    ),
    Mutation(
        "three phases with something to spare", "sharing", "+ settings.phase_switch_w", "",
        "rules.py::test_three_phases_need_200_w_more_than_their_minimum",
    ),
    Mutation(
        "both sets of phases during a change", "turns", "one_phase=self.one_phase and not self.switching", "one_phase=self.one_phase",
        "rules.py::test_s1_both_sets_of_phases_are_booked_during_a_change",
    ),
    Mutation(
        "phases in the command", "commands", "phase_count = 1 if turn.one_phase else 3", "pass",
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
        "rules.py::test_pv_stop_delay_minimum_on_and_off_times_are_kept",
    ),
    Mutation(
        "start threshold", "surplus", "-settings.pv_start_threshold_w", "0.0",
        "controller.py::test_pv_reserve_and_thresholds_are_kept",
    ),
    Mutation(
        "stop threshold", "surplus", "committed_w, settings.pv_stop_threshold_w", "committed_w, 0.0",
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
        "PV switch", "candidates", "site.pv_surplus\n", "True\n",
        "closed_loop.py::test_without_any_pv_switch_a_solar_mode_charges_fast",
    ),
    Mutation(
        "PV switch of a group", "candidates", "or any(circuit.follows_pv for circuit in turn.outlet.path)", "",
        "controller.py::test_a_group_with_pv_of_its_own_takes_no_more_than_its_surplus",
    ),
    Mutation(
        "a group's own PV", "candidates", "if circuit.own_pv and circuit.parent is not None\n        ),", "if False\n        ),",
        "controller.py::test_a_group_with_pv_of_its_own_takes_no_more_than_its_surplus",
    ),
    Mutation(
        "surplus per phase", "candidates", "if settings.pv_per_phase and base_a is not None:", "if False:",
        "controller.py::test_pv_surplus_counts_per_phase_where_the_meter_does_not_net",
    ),
    Mutation(
        "a slot runs while others rest", "sharing", "LACKING | {LimitKind.MINIMUM_OFF_TIME}", "LACKING",
        "lost_charging.py::test_a_turn_is_as_long_as_the_slot",
    ),
    Mutation(
        "the battery moves with the cars", "surplus",
        "free_w + base_w - house_w", "free_w + battery.power_w",
        "lost_charging.py::test_a_battery_that_keeps_the_grid_at_nothing_lets_the_car_be",
    ),
    Mutation(
        "the battery first", "surplus", "if battery.soc_pct is None or battery.soc_pct < threshold:", "if False:",
        "closed_loop.py::test_the_battery_goes_first_below_its_state_of_charge",
    ),
    Mutation(
        "what others draw is no surplus", "surplus", "-base_w - others_w", "-base_w",
        "controller.py::test_s7_who_is_offline_leaves_no_surplus_before_its_draw_is_base_load",
    ),
    Mutation(
        "the minimum of solar_min", "candidates", "draw = least(draw, turn.load(turn.outlet.minimum))", "draw = NOTHING",
        "rules.py::test_the_minimum_of_solar_min_is_no_surplus_for_another",
    ),
    # Imbalance.
    Mutation(
        "imbalance in the step", "sharing", "imbalance_base_a=skew_a", "imbalance_base_a=None",
        "controller.py::test_imbalance_is_held_and_a_violation_is_acted_on_after_its_hold_time",
    ),
    Mutation(
        "imbalance hold time", "sharing", "if now_s - since_s < case.site.settings.imbalance_hold_s:", "if False:",
        "rules.py::test_imbalance_is_acted_on_after_its_hold_time",
    ),
    Mutation(
        "imbalance is acted on", "sharing", "if now_s - since_s < case.site.settings.imbalance_hold_s:", "if True:",
        "controller.py::test_imbalance_is_held_and_a_violation_is_acted_on_after_its_hold_time",
    ),
    Mutation(
        "imbalance that the meter shows", "sharing", "if _differs_less(measured_a, p, q, limit_a):", "if False:",
        "meter_evidence.py::test_nobody_is_stopped_for_an_imbalance_that_the_meter_does_not_show",
    ),
    Mutation(
        "imbalance residual", "sharing", "elif bound < 0:", "elif False:",
        "controller.py::test_imbalance_that_nobody_can_mend_is_reported",
    ),
    # The external limit.
    Mutation(
        "external limit in the step", "sharing", "external_limit_w=external_w", "external_limit_w=None",
        "closed_loop.py::test_the_external_limit_is_kept",
    ),
    Mutation(
        "external limit in raises", "raises", "rooms[3] = room_w if rooms[3] is None else min(rooms[3], room_w)", "pass",
        "rules.py::test_s7_raises_below_an_external_limit_wait_for_room",
    ),
    # What a person switches.
    Mutation(
        "charging switched off", "candidates", "        turn.seen.enabled\n        and turn", "        turn",
        "controller.py::test_switched_off_and_mode_off_pause",
    ),
    Mutation(
        "load management off", "candidates", "elif not site.load_management:", "elif False:",
        "controller.py::test_load_management_off_holds_everybody_at_the_failsafe",
    ),
    Mutation(
        "priorities of users", "turns", "self.priority = max(self.priority, *seen.priorities)", "pass",
        "controller.py::test_a_user_with_priority_goes_first",
    ),
    Mutation(
        "a full car goes last", "sharing", "served_wh=_FULL_CAR_LAST_WH\n", "served_wh=0.0\n",
        "rules.py::test_a_full_car_gives_way_to_one_that_wants_to_charge",
    ),
]  # fmt: skip

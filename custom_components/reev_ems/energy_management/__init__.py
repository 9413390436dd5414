"""The energy management of a charging site: pure rules, no I/O, no clock, standard library only."""

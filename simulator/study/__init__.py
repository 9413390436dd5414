"""The measuring instrument: a site in simulated time, who decides for it, and how well it did.

The plant (circuits, cars, charge points, meters, house, sun, battery, breakers) knows nothing of the energy
management. One second is one tick. `docs/benchmarks.md` says what is measured, `docs/simulator.md` how to use it.
"""

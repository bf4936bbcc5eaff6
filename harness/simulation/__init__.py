"""Swarms of small schedules in virtual time: run, judged, shrunk, kept, replayed.

play.py runs a schedule (harness.simulation.schedules) in the simulated world
(harness.worlds.simulated) and judges it; minimal.py shrinks what fails; failures.py keeps it, to
be played first the next time; run_simulation.py is all of it together.
"""

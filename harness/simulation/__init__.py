"""Swarms of small schedules in virtual time: drawn, run, judged, shrunk, kept, replayed.

A schedule (schedule.py) is one whole test as a value. draw.py draws it from a seed; play.py
runs it in the simulated world (harness.worlds.simulated) and judges it; shrink.py makes it
smaller as long as it fails; text.py writes it to a file of a few lines and reads it again;
failures.py keeps what failed, to be played first the next time.
"""

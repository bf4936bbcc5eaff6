"""Schedules as values: drawn from seeds, named by tokens, written to files, made smaller.

A schedule (schedule.py) is one whole test. draw.py draws it, its faults are drawn in
drawn_faults.py; token.py names it in 60 characters; text.py writes it to a file of a few lines and
reads it again; shrink.py makes it smaller as long as it fails. Nothing here runs one.
"""

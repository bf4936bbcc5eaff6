"""Campaigns: a matrix of tests from one YAML file, run as processes of their own.

spec = read(text, "nightly.yaml", names)
crew = Crew(jobs)
done = Conductor(spec.cells, ...).run()
"""

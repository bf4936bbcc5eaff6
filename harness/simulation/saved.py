"""The folder of a simulated schedule: the files of a test, the schedule itself, and its story."""

from __future__ import annotations

from pathlib import Path

from dynamesis.checkers.history.op import JsonObject, encode
from dynamesis.harness.check.evaluate import save
from dynamesis.harness.nemesis.schedule_file import dump as dump_faults
from dynamesis.harness.results.results import HISTORY, SCHEDULE, TEST, Folder
from dynamesis.harness.simulation.play import run
from dynamesis.harness.simulation.schedules.text import Written, dump
from dynamesis.harness.worlds.simulated.run import SimulatedTest, judge

#: The whole schedule, to be replayed; and who sent what to whom.
SIMULATED, STORY = "simulated.yaml", "story.txt"
_HEAD = "# replayed with: dynamesis simulate --replay {folder}\n"
_FAULTS = "# the faults alone, for processes: dynamesis test --schedule {folder}/schedule.yaml\n"


def save_schedule(path: Path, written: Written) -> tuple[SimulatedTest, JsonObject]:
    """Run the schedule once more, with its story, and write all files of it; the test and its
    results. Raises OSError where the disk does not take them."""
    path.mkdir(parents=True, exist_ok=True)
    folder, schedule = Folder(path), written.schedule
    text = dump(schedule, written.anomalies, written.token)
    folder.save(SIMULATED, _HEAD.format(folder=path) + text)
    folder.save(SCHEDULE, _FAULTS.format(folder=path) + dump_faults(schedule.faults))
    test = run(schedule, story=True)
    results = judge(test)
    folder.save_json(TEST, test.test)
    (path / HISTORY).write_bytes(b"".join(map(encode, test.history)))
    save(folder, results)
    return test, results

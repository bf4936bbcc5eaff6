"""The folder of failures, made to be put under git: `failures/`, a file a bug.

Two hunts may use one folder: what is changed is read anew under a lock on the folder itself (flock,
which ends with its holder), and files are replaced by rename. Whenever a hunt is killed, each file
is whole, in its old form or its new one. Names are those of the bugs, so that two machines that
find different bugs never touch the same file.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dynamesis.harness.failures.failure import Failure, faults_alone, read
from dynamesis.harness.failures.fingerprint import Fingerprint
from dynamesis.harness.failures.interval import Rate
from dynamesis.harness.results.results import Folder
from dynamesis.harness.results.yaml_document import YamlError
from dynamesis.harness.usage.exits import UsageError

SUFFIX = ".yaml"


@dataclass(frozen=True)
class FailureFolder:
    """The failures in a folder, which need not exist yet."""

    path: Path

    def all(self) -> list[Failure]:
        """Every failure, by name. Raises UsageError for a file that cannot be used."""
        return [load(file) for file in self.files()]

    def files(self) -> list[Path]:
        """The files of the failures, by name."""
        return sorted(
            file for file in self.path.glob(f"*{SUFFIX}") if not file.name.startswith(".")
        )

    def file(self, name: str) -> Path:
        """The file of the failure of this name."""
        return self.path / f"{name}{SUFFIX}"

    def strike(
        self, found: Failure, shown: Fingerprint, alike: Callable[[Failure], bool] = lambda _: True
    ) -> tuple[Failure, bool]:
        """Notes that a failure was met: one that is known has struck once more, another is added.
        Returns it as it is kept, and whether it is new. `alike`: which failures may be this one."""
        with self._locked():
            known = self.known(shown, alike)
            kept = found if known is None else replace(known, struck=known.struck + 1)
            if known is None and self.file(kept.name).exists():  # its hash is that of another
                kept = replace(kept, name=self._unused(kept.name))
            self._write(kept)
        return kept, known is None

    def known(
        self, shown: Fingerprint, alike: Callable[[Failure], bool] = lambda _: True
    ) -> Failure | None:
        """The failure that this is, if it is a known one: best the one of its name. A file that
        cannot be read is passed over: it must not cost the failure that has just been found."""
        readable = self._readable()
        same = [each for each in readable if shown.known_by(each.symptoms) and alike(each)]
        return min(same, key=lambda each: (each.name != shown.name, each.name), default=None)

    def _readable(self) -> Iterator[Failure]:
        for file in self.files():
            with suppress(UsageError):
                yield load(file)

    def update(self, changed: Failure) -> Failure:
        """Replaces a failure by what is known of it now; what another hunt has counted
        meanwhile is kept. One that was deleted meanwhile stays deleted."""
        with self._locked():
            file = self.file(changed.name)
            if not file.exists():
                return changed
            now = load(file)
            kept = replace(changed, struck=now.struck, symptoms=changed.symptoms | now.symptoms)
            if kept != now:
                self._write(kept)
            return kept

    def rescheduled(self, known: Failure, found: Failure) -> Failure:
        """Gives a known failure the schedule by which it was met again, not replayed yet."""
        again = replace(
            found,
            name=known.name,
            anomalies=known.anomalies,
            symptoms=known.symptoms,
            found=known.found,
            version=known.version,
        )
        return self.update(replace(again, rate=None))

    def rated(self, failure: Failure, rate: Rate) -> Failure:
        """Notes the rate of a replay."""
        return self.update(replace(failure, rate=rate))

    def _write(self, failure: Failure) -> None:
        file = self.file(failure.name)
        Folder(self.path).save(file.name, failure.dump(f"{self.path.resolve().name}/{file.name}"))

    def _unused(self, name: str) -> str:
        number = 2
        while self.file(f"{name}-{number}").exists():
            number += 1
        return f"{name}-{number}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nothing else writes meanwhile; so a part of a file that lies here is what a killed
        hunt left."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            for part in self.path.glob(f".*{SUFFIX}.*"):
                part.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)


def load(file: Path) -> Failure:
    """The failure in a file. Raises UsageError, with file and line."""
    try:
        return read(file.read_text(encoding="utf-8"), file.stem, str(file))
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(f"{file} cannot be read ({failure}); name a failure's file") from failure
    except YamlError as malformed:
        raise UsageError(str(malformed)) from malformed


def chosen(paths: list[Path]) -> list[Path]:
    """The files that are meant: of a folder all of its failures. Raises UsageError."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += FailureFolder(path).files()
        elif path.is_file():
            files.append(path)
        else:
            raise UsageError(f"{path}: there is no such file or folder; name failures/, or a file")
    return list(dict.fromkeys(files))


def schedule_of(file: Path) -> str:
    """The faults in a file, as a schedule with the same line numbers."""
    return faults_alone(file.read_text(encoding="utf-8"))

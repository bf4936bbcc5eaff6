"""Fetch Cassandra and what it depends on with Maven, into our cache:

python -m dynamesis.harness.targets.cassandra.fetch
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dynamesis.harness.targets.cassandra.target import CACHED, VERSION
from dynamesis.harness.targets.provision import cache_folder

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dynamesis</groupId><artifactId>cassandra</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies><dependency>
    <groupId>org.apache.cassandra</groupId>
    <artifactId>cassandra-all</artifactId>
    <version>{VERSION}</version>
  </dependency></dependencies>
</project>
"""


def fetch(folder: Path) -> int:
    """The exit code of Maven; its jars are in folder/lib. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pom.xml").write_text(_POM, encoding="utf-8")
    command = ["mvn", "-B", "-q", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    return subprocess.run(command, cwd=folder, check=False).returncode


def main() -> int:
    """Fetch; say where it is. Exit code 4 where that does not work."""
    folder = cache_folder(CACHED)
    try:
        code = fetch(folder)
    except OSError as error:
        print(f"mvn does not run: {error}; get Maven (Debian: maven)", file=sys.stderr)
        return 4
    if code:
        print(f"mvn ended with exit code {code}; see its output above", file=sys.stderr)
        return 4
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the file of a target needs: `from dynamesis.targets import Command, Target, ok, unknown`.

All of it is public, and described in docs/api.md; docs/your-store.md shows how it is used.
"""

from dynamesis.checkers.history.op import Op
from dynamesis.harness.targets.client import BlockingClient, Client, fail, ok, unknown
from dynamesis.harness.targets.node_client import NodeClient
from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.targets.target import Command, FaultLimits, Target, TargetOption, connects

__all__ = [
    "BlockingClient",
    "Client",
    "Command",
    "EnvironmentFailed",
    "FaultLimits",
    "NodeClient",
    "NodeSite",
    "Op",
    "Site",
    "Target",
    "TargetOption",
    "connects",
    "fail",
    "ok",
    "unknown",
]

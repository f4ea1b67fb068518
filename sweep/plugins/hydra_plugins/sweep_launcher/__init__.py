"""Name our launcher and sweepers where Hydra 1.3 looks for plugins."""

from sweep.guided import GuideSweeper as _GuideSweeper
from sweep.launcher import KubernetesLauncher as _KubernetesLauncher
from sweep.sweeper import GridSweeper as _GridSweeper


class KubernetesLauncher(_KubernetesLauncher):
    """The same launcher, under a name that Hydra 1.3 accepts."""


class GridSweeper(_GridSweeper):
    """The same sweeper, under a name that Hydra 1.3 accepts."""


class GuideSweeper(_GuideSweeper):
    """The same sweeper, under a name that Hydra 1.3 accepts."""

"""`hydra/launcher=slurm`, where Hydra looks for launchers; what it does is in `sbanet.sweeps.slurm`.

Without the extra `slurm` there is nothing here, and Hydra finds no such launcher.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from hydra.core.utils import JobReturn

if find_spec("hydra_plugins.hydra_submitit_launcher") is not None:
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

    class SweepLauncher(SlurmLauncher):
        """Submits what a sweep still lacks, and returns; the login node has nothing to wait for."""

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            """Submit the jobs of a batch of the sweeper."""
            from sbanet.sweeps.slurm import launch  # not at each start of Hydra

            return launch(self.hydra_context, self.config, job_overrides, initial_job_idx)

"""`hydra/sweeper: nnexp`: takes a sweep's overrides from Hydra and hands them to nnexp's own sweeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

# params: what an experiment sweeps; the command line overrides it
SETTINGS = {"_target_": "hydra_plugins.nnexp_sweeper.sweeper.NnexpSweeper", "params": {}}
ConfigStore.instance().store(group="hydra/sweeper", name="nnexp", node=SETTINGS, provider="nnexp")


class NnexpSweeper(Sweeper):
    """Plans the whole sweep, then runs it in stacks; Hydra's launcher is not used."""

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra composed the sweep's own settings from."""
        self.loader, self.config = hydra_context.config_loader, config

    def sweep(self, arguments: list[str]) -> None:
        """Run every combination of the arguments."""
        from nnexp.command import exit_as
        from nnexp.config.compose import Composer, with_params
        from nnexp.job import run_sweep

        assert self.config is not None
        hydra_overrides = OmegaConf.to_container(self.config.hydra.overrides.hydra)
        assert isinstance(hydra_overrides, list)
        composer = Composer(self.loader, self.config.hydra.job.config_name, [str(each) for each in hydra_overrides])
        exit_as(run_sweep(composer, with_params(self.params, arguments)))

"""Hydra's own compositions, in this process, for tests that ask it what nnexp should find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from nnexp.config.compose import Composer, conf_folder
from nnexp.hydra_plugins import register, share_config_store


class Remembering(Composer):
    """A composer that composes the same overrides once, and counts those it was asked for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.asked = 0
        self.composed: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        self.asked += 1
        key = tuple(overrides)
        if key not in self.composed:
            self.composed[key] = super().compose(overrides)
        return self.composed[key]


@contextmanager
def composing(main: Path | None = None, folder: Path | None = None) -> Iterator[Remembering]:
    """Give a composer of conf/ or another main folder, and of one's own as --config-dir, good for the block."""
    register()
    share_config_store()
    before = HydraConfig.instance().cfg
    search = create_config_search_path(str(main or conf_folder()))
    if folder is not None:
        search.prepend("command-line", f"file://{folder}", anchor="schema")
    GlobalHydra.instance().clear()
    try:
        yield Remembering(Hydra.create_main_hydra2("nnexp", search).config_loader)
    finally:
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = before


def combinations(composer: Composer, overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each job that Hydra's own sweeper makes of a sweep's, in its order."""
    parsed = OverridesParser.create(config_loader=composer.loader).parse_overrides(list(overrides))
    (jobs,) = BasicSweeper.split_arguments(parsed, None)
    return jobs


def composed_by_hydra(composer: Composer, job: Sequence[str]) -> dict[Any, Any]:
    """Return one job's config as Hydra composes and resolves it, without Hydra's own part."""
    config = composer.compose(job)
    HydraConfig.instance().set_config(config)
    with open_dict(own := config.copy()):
        del own["hydra"]
    plain = OmegaConf.to_container(own, resolve=True)
    assert isinstance(plain, dict)
    return plain

"""Hydra beside whoever else uses it in this process: composed without its command line, and without a trace."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from nnexp.config.compose import CONFIG_NAME, NO_CHOICE, Composer, conf_folder, with_params
from nnexp.config.explain import explain
from nnexp.errors import ConfigError, UsageError
from nnexp.hydra_plugins import register

RESOLVERS = ("now", "hydra", "python_version")  # that Hydra adds to OmegaConf's
_alone = threading.RLock()  # what Hydra keeps of a composition, it keeps once for the whole process


@contextmanager
def composing(overrides: Sequence[str], config_dir: Path | None = None) -> Iterator[Composer]:
    """Lend a composer of conf/, and of a folder with choices of one's own.

    Args: overrides: what errors are explained by.
    Raises: ConfigError in place of what Hydra raises in the block; UsageError if there is no such folder.
    """
    if config_dir is not None and not config_dir.is_dir():
        raise UsageError(f"config_dir {str(config_dir)!r} is not a folder")
    with _alone, _left_as_it_was():
        register()
        composer = Composer(ConfigLoaderImpl(config_search_path=_search_path(config_dir)))
        try:
            yield composer
        except HydraException as error:
            raise explain(error, overrides, composer, "nnexp.sweep sweeps them") from None
        except ValueError as error:
            if not str(error).startswith(NO_CHOICE):
                raise
            raise explain(error, overrides, composer) from None
        except YAMLError as error:
            raise ConfigError(" ".join(str(error).split())) from None


def compose_single(composer: Composer, overrides: Sequence[str]) -> DictConfig:
    """Return Hydra's config of one trial. Raises: UsageError if the overrides mean a sweep."""
    looked = _look(composer, overrides, check=False)
    if looked.hydra.mode == RunMode.MULTIRUN:
        experiment = looked.hydra.runtime.choices.get("experiment")
        raise UsageError(f"experiment={experiment} is a sweep: nnexp.sweep trains it")
    config = composer.compose(overrides)
    HydraConfig.instance().set_config(config)  # which interpolations of hydra: read
    return config


def sweep_overrides(composer: Composer, overrides: Sequence[str]) -> list[str]:
    """Return what is swept: the overrides, behind those that the experiment's file has."""
    looked = _look(composer, overrides, check=True)
    composer.hydra_overrides = list(looked.hydra.overrides.hydra)
    params: Any = OmegaConf.to_container(looked.hydra.sweeper.params)
    assert isinstance(params, Mapping)
    return with_params({str(key): value for key, value in params.items()}, list(looked.hydra.overrides.task))


def _look(composer: Composer, overrides: Sequence[str], *, check: bool) -> DictConfig:
    """Return what Hydra composes before it sweeps; check: whether overrides must be such that can be swept."""
    return composer.loader.load_configuration(
        CONFIG_NAME, list(overrides), RunMode.MULTIRUN, validate_sweep_overrides=check
    )


@contextmanager
def _left_as_it_was() -> Iterator[None]:
    """Put back what Hydra keeps of the application that runs, if there is one."""
    config, runtime = HydraConfig.instance(), JobRuntime.instance()
    before, conf = config.cfg, deepcopy(runtime.conf)
    added = [name for name in RESOLVERS if not OmegaConf.has_resolver(name)]
    if added:
        setup_globals()
    runtime.set("name", "nnexp")
    try:
        yield
    finally:
        config.cfg, runtime.conf = before, conf
        for name in added:
            OmegaConf.clear_resolver(name)


def _search_path(config_dir: Path | None) -> ConfigSearchPath:
    """Return where choices are, as the command line finds them. Another application may have looked for its plugins
    before nnexp's could be found: what they add is added here."""
    from nnexp.hydra_plugins.nnexp_components import COMPONENTS, ComponentSource
    from nnexp.hydra_plugins.nnexp_sweeper import sweeper  # noqa: F401  # stores its settings

    SourcesRegistry.instance().register(ComponentSource)
    search = create_config_search_path(str(conf_folder()))
    if not any(each.path == COMPONENTS.path for each in search.get_path()):
        search.get_path().insert(-1, COMPONENTS)  # in front of Hydra's own schemas, which must be the last
    if config_dir is not None:
        search.prepend("command-line", f"file://{config_dir.resolve()}", anchor="schema")
    return search

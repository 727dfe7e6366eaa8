"""A user's own components as choices of Hydra's groups, behind all files: one's own file of a name comes first."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath, SearchPathElement
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from nnexp import own

COMPONENTS = SearchPathElement("schema", "nnexp://components")


class ComponentSource(ConfigSource):
    """Gives each own component's name and defaults, as nnexp's files do for nnexp's.

    Names are known without importing a package; it is imported when its component is chosen.
    """

    @staticmethod
    def scheme() -> str:
        return "nnexp"

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return bool(_names(config_path.strip("/")))

    def is_config(self, config_path: str) -> bool:
        group, _, name = _parts(config_path)
        return name in _names(group)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        return [] if results_filter is ObjectType.GROUP else sorted(_names(config_path.strip("/")))

    def load_config(self, config_path: str) -> ConfigResult:
        from nnexp.config.build import TABLES

        group, _, name = _parts(config_path)
        config = OmegaConf.create(TABLES[group][name]().describe())
        return ConfigResult(provider=self.provider, path=self.full_path(), config=config, header={"package": None})


class ComponentSearchPath(SearchPathPlugin):
    """Puts own components behind nnexp's files, and behind those of --config-dir."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        # Hydra puts --config-dir in front of the first that is provided as a schema
        search_path.append(COMPONENTS.provider, COMPONENTS.path)


def _parts(config_path: str) -> tuple[str, str, str]:
    return config_path.removesuffix(".yaml").strip("/").rpartition("/")


def _names(group: str) -> list[str]:
    # an activation is a value of the architecture, not a group
    return own.names(group) if group in own.ENTRY_POINTS and group != "activation" else []

"""What commands that Hydra configures have in common: Hydra around them, one clear line for each error, exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from nnexp.errors import ConfigError, NnexpError


def run_hydra(job: Callable[..., Any]) -> None:
    """Run a job under Hydra with the process's arguments; exit as its error says: 2 for a wrong setting, …"""
    from hydra import main as hydra_main
    from hydra.errors import HydraException

    from nnexp.config.compose import CONFIG_NAME, conf_folder
    from nnexp.hydra_plugins import register, share_config_store

    caught: list[NnexpError] = []

    def guarded(config: Any) -> None:
        try:
            job(config)
        except NnexpError as error:  # Hydra would print lines of its own about it
            caught.append(error)

    register()
    share_config_store()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # exceptions reach this function, which says them in one line
    try:
        hydra_main(version_base="1.3", config_path=str(conf_folder()), config_name=CONFIG_NAME)(guarded)()
    except HydraException as error:
        _exit(_explained(error))
    except ValueError as error:
        if not str(error).startswith("Config group override must be"):  # Hydra's, for group=null
            raise
        _exit(ConfigError(str(error)))
    except NnexpError as error:
        _exit(error)
    except KeyboardInterrupt:
        print("nnexp: interrupted; the same command goes on with what is missing", file=sys.stderr)
        sys.exit(130)
    for failure in caught:
        _exit(failure)


def _explained(error: Any) -> ConfigError:
    from hydra import initialize_config_dir
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import get_args_parser
    from hydra.core.global_hydra import GlobalHydra

    from nnexp.config.compose import Composer, conf_folder
    from nnexp.config.explain import explain

    arguments = get_args_parser().parse_args()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(arguments.config_path or conf_folder()), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert isinstance(hydra, Hydra)
        return explain(error, arguments.overrides, Composer(hydra.config_loader))


def _exit(error: NnexpError) -> None:
    print(f"nnexp: {error}", file=sys.stderr)
    sys.exit(error.exit_code)

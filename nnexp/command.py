"""What commands that Hydra configures have in common: Hydra around them, one clear line for each error, exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnexp.errors import ConfigError, NnexpError
from nnexp.screen import complain

if TYPE_CHECKING:
    from nnexp.conduct import Ran


def run_hydra(job: Callable[..., Any]) -> None:
    """Run a job under Hydra with the process's arguments; exit as its error says: 2 for a wrong setting, …"""
    from hydra import main as hydra_main
    from hydra.errors import HydraException
    from yaml import YAMLError

    from nnexp.config.compose import CONFIG_NAME, NO_CHOICE, conf_folder
    from nnexp.hydra_plugins import register, share_config_store

    caught: list[NnexpError] = []

    def guarded(config: Any) -> None:
        try:
            job(config)
        except NnexpError as error:  # Hydra would print lines of its own about it
            caught.append(error)

    register()
    share_config_store()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions reach this function, which says them in one line
    try:
        hydra_main(version_base="1.3", config_path=str(conf_folder()), config_name=CONFIG_NAME)(guarded)()
    except HydraException as error:
        _exit(_explained(error))
    except ValueError as error:
        if not str(error).startswith(NO_CHOICE):
            raise
        _exit(_explained(error))
    except YAMLError as error:
        _exit(ConfigError(" ".join(str(error).split())))
    except NnexpError as error:
        _exit(error)
    except KeyboardInterrupt:
        complain("interrupted; the same command goes on with what is missing")
        sys.exit(130)
    for failure in caught:
        _exit(failure)


def exit_as(ran: Ran | None) -> None:
    """Exit with the code of a run that did not finish all of its trials."""
    if ran is not None and ran.exit_code:
        sys.exit(ran.exit_code)


def _explained(error: Exception) -> ConfigError:
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path, get_args_parser
    from hydra.core.global_hydra import GlobalHydra

    from nnexp.config.compose import CONFIG_NAME, Composer, conf_folder
    from nnexp.config.explain import explain

    arguments = get_args_parser().parse_args()
    search = create_config_search_path(str(Path(arguments.config_path or conf_folder()).resolve()))
    if arguments.config_dir is not None:
        search.prepend("command-line", f"file://{Path(arguments.config_dir).resolve()}", anchor="schema")
    GlobalHydra.instance().clear()
    hydra = Hydra.create_main_hydra2("nnexp", search)
    return explain(error, arguments.overrides, Composer(hydra.config_loader, arguments.config_name or CONFIG_NAME))


def _exit(error: NnexpError) -> None:
    complain(str(error))
    sys.exit(error.exit_code)

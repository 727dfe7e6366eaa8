"""Which page of MLflow's UI shows a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from nnexp.errors import TrackingError, UsageError
from nnexp.sweeps.kept import PlannedSweep
from nnexp.sweeps.ledger import Ledger
from nnexp.tracking.rest import Rest
from nnexp.tracking.store import one_line, store_uri, without_credentials
from nnexp.tracking.syncing import choose, store_of
from nnexp.tracking.views import VIEW_TAG, Place, runs_link, view_id

EXPERIMENT = "nnexp"  # where sweeps are tracked unless they say otherwise
EXPERIMENTS = "#/experiments"
SECONDS = 10.0  # that an answer is waited for


def sweep_named(root: Path, name: str) -> PlannedSweep:
    """Return the sweep of an id or, the latest one, of a name.

    Raises: UsageError if there is none.
    """
    path = root / "ledger.db"
    if not path.exists():
        raise UsageError(f"there is no ledger at {path}, so no sweep {name!r}: --root is the folder of your runs")
    with closing(Ledger(path)) as ledger:
        return choose(ledger.sweeps(), [name])[0]


def uri_of(given: str | None, sweep: PlannedSweep | None, root: Path) -> str:
    """Return the URI of the store to look at: the given one, else the sweep's, else as for a new sweep."""
    return store_uri(given, root, "--uri") if sweep is None or given else store_of(sweep, root).uri


def page(server: str, sweep: PlannedSweep | None) -> str:
    """Return the link to a sweep's view, or to the runs of all sweeps, relative to a server.

    Raises: TrackingError if the server does not answer.
    """
    name = EXPERIMENT if sweep is None else str(sweep.settings.get("experiment") or EXPERIMENT)
    try:
        asked = f"experiments/get-by-name?{urlencode({'experiment_name': name})}"
        experiment = Rest(server, SECONDS).ask(asked)["experiment"]
    except HTTPError:
        return EXPERIMENTS  # none of that name, or we may not know: the browser may be somebody
    except (OSError, ValueError, LookupError) as error:
        reason = getattr(error, "reason", error)
        said = reason if isinstance(reason, str) else one_line(reason, server)
        raise TrackingError(f"{without_credentials(server)} does not answer as MLflow's server: {said}") from None
    return _page(experiment, sweep)


def _page(experiment: Mapping[str, Any], sweep: PlannedSweep | None) -> str:
    id = str(experiment["experiment_id"])
    if sweep is None:
        return runs_link(id)
    place = Place(id, sweep.id)
    views = {tag["key"] for tag in experiment.get("tags", [])}
    return place.link if VIEW_TAG + view_id(sweep.id) in views else runs_link(id, searchFilter=place.trials)

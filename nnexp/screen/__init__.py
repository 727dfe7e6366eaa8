"""What commands print: while a sweep runs, when it has ended, and instead of one."""

from nnexp.screen.dry_run import show_plan
from nnexp.screen.events import Planned, Result
from nnexp.screen.lines import agrees, complain, say
from nnexp.screen.opening import open_screen
from nnexp.screen.places import how_to_free, how_to_look, shown_path
from nnexp.screen.protocol import Screen
from nnexp.screen.single import show_trial
from nnexp.screen.table import show_leaderboard
from nnexp.screen.wording import seconds_line

__all__ = [
    "Planned",
    "Result",
    "Screen",
    "agrees",
    "complain",
    "how_to_free",
    "how_to_look",
    "open_screen",
    "say",
    "seconds_line",
    "show_leaderboard",
    "show_plan",
    "show_trial",
    "shown_path",
]

"""Commands run on a pseudo-terminal, and what a person sees of them there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.runs import HANGS, hearing_ctrl_c, surroundings

# What a view may send: up, erase a line, colours. All else is a surprise, above all what hides the cursor.
CONTROL = re.compile(r"\x1b\[(\d*)A|(\x1b\[2K)|(\x1b\[[\d;]*m)|(\r)|(\n)|([^\x00-\x1f\x7f-\x9f]+)|(.)", re.DOTALL)


@dataclass
class Terminal:
    """A terminal that is wide enough for every line. lines: as they stand there now, the history included."""

    lines: list[str] = field(default_factory=lambda: [""])
    row: int = 0
    column: int = 0

    def feed(self, text: str) -> None:
        """Take in what a command writes; ValueError if a terminal would do more with it than show and erase lines."""
        for up, erase, colour, carriage, line_feed, shown, other in CONTROL.findall(text):
            if other:
                raise ValueError(f"{other!r} in {text!r}")
            if shown:
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + shown + line[self.column + len(shown) :]
                self.column += len(shown)
            elif carriage:
                self.column = 0
            elif line_feed:  # the system sends a carriage return before it
                self.row += 1
                self.lines += [""] * (self.row == len(self.lines))
            elif erase:
                self.lines[self.row] = ""
            elif not colour:
                self.row -= int(up or 1)

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(line.rstrip() for line in self.lines)


@dataclass(frozen=True)
class Seen:
    """How a command ended on a terminal. frames: the terminal after everything that was written, one after another.
    settings: those of the terminal before and after."""

    code: int
    terminal: Terminal
    frames: list[str]
    settings: tuple[object, object]


def on_terminal(
    command: Sequence[str],
    folder: Path,
    *,
    columns: int = 160,
    watch: Callable[[str, int], None] = lambda text, process: None,
    variables: Mapping[str, str] | None = None,
) -> Seen:
    """Run a command on a pseudo-terminal. watch: is shown the terminal after every write, and the process's number."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    before = termios.tcgetattr(theirs)
    environment = {**surroundings(), "TERM": "xterm-256color", **(variables or {})}
    with hearing_ctrl_c():
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
    terminal, frames, until, cut = Terminal(), [], time.monotonic() + HANGS, b""
    while True:
        over = process.poll() is not None
        while select.select([ours], [], [], 0 if over else 0.1)[0]:
            text, cut = _decoded(cut + os.read(ours, 65536))
            terminal.feed(text)
            frames.append(terminal.text)
            watch(terminal.text, process.pid)
        if over:
            break
        if time.monotonic() > until:
            process.kill()
            raise TimeoutError(f"{command} hangs; its terminal shows:\n{terminal.text}")
    after = termios.tcgetattr(theirs)
    os.close(ours)
    os.close(theirs)
    return Seen(process.returncode, terminal, frames, (before, after))


def _decoded(found: bytes) -> tuple[str, bytes]:
    """Return the whole characters and sequences of what was read, and the rest."""
    end = len(found)
    escape = found.rfind(b"\x1b")
    if escape >= 0 and not re.match(rb"\x1b\[[\d;?]*[A-Za-z]", found[escape:]):
        end = escape
    while True:
        try:
            return found[:end].decode(), found[end:]
        except UnicodeDecodeError as error:
            end = error.start

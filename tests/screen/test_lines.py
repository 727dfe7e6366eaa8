"""Lines on standard output, whoever reads it, if anybody does."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from nnexp.screen.lines import say

ROOT = Path(__file__).parents[2]
MANY = "from nnexp.screen import say\nfor each in range(100_000): say(f'line {each} ±')\nimport sys; sys.exit(5)"


def test_a_closed_pipe_breaks_nothing() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", MANY], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "line 0 ±\n"
    process.stdout.close()
    assert process.wait(timeout=120) == 5
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full, the disk that is always full")
def test_a_full_disk_breaks_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", MANY], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    assert (done.returncode, done.stderr) == (5, "")


def test_an_output_without_the_characters_gets_escapes() -> None:
    program = "from nnexp.screen import say; say('0.5 ± 0.1 \\x1b')"
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", program],
        cwd=ROOT, env={"PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"0.5 \\xb1 0.1 \\x1b\n")


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb")
    say()
    assert capsys.readouterr().out == "a\\nb\n\n"


def test_nothing_prints_but_through_lines_that_are_escaped() -> None:
    calls = [
        (path.name, node.lineno)
        for path in (ROOT / "nnexp").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert [name for name, _ in calls] == ["lines.py"], calls

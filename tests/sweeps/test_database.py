"""A file of rows with checksums: whole transactions, damage found and named, one clear line where it cannot be used."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from nnexp.errors import NnexpError, UsageError
from nnexp.sweeps import database
from nnexp.sweeps.database import DamageError, Database, Table, checksum

PAIR = Table("pair", ("id",), ("text", "number"))
OTHER = Table("other", ("a", "b"), ("text",), extra="CREATE INDEX IF NOT EXISTS other_by_b ON other (b)")
ROW = {"id": "x", "text": "some text", "number": 1 / 3}
# Writes pairs of rows, each with its own checksum, and says so.
WRITER = """
import sys
from pathlib import Path
from tests.sweeps.test_database import OTHER, PAIR, opened
file = opened(Path(sys.argv[1]))
first = file.scalar("SELECT count(*) FROM pair")
for number in range(first, 100_000):
    with file.transaction() as cursor:
        file.put(cursor, PAIR, [{"id": f"{number}", "text": "x" * (number % 9000), "number": number}])
        file.put(cursor, OTHER, [{"a": number, "b": number % 7, "text": "y" * 5000}])
    print(number, flush=True)
"""


def opened(path: Path, version: int = 2) -> Database:
    return Database(path, [PAIR, OTHER], version, "test file")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    with closing(opened(tmp_path / "new" / "file.db")) as made:
        yield made


def put(file: Database, *rows: Mapping[str, object]) -> None:
    with file.transaction() as cursor:
        file.put(cursor, PAIR, rows)


def put_one_by_one(file: Database, *rows: Mapping[str, object]) -> None:
    with file.transaction() as cursor:
        for row in rows:
            file.put(cursor, PAIR, [row])


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_rows_come_back_to_the_bit(file: Database) -> None:
    values: list[object] = [5e-324, -0.0, 1.7976931348623157e308, 2**62, None, "ü 漢 \U0001f600 \n\0", ""]
    rows: list[Mapping[str, object]] = [
        {"id": str(number), "text": value, "number": number} for number, value in enumerate(values)
    ]
    put(file, *rows)
    assert repr(file.rows(PAIR, {}, "number")) == repr(rows)
    assert file.rows(PAIR, {"id": "2"}) == [rows[2]]


def test_a_row_takes_the_place_of_the_one_with_its_identity(file: Database) -> None:
    put(file, ROW)
    put(file, ROW | {"text": "another"})
    assert file.rows(PAIR, {}) == [ROW | {"text": "another"}]
    with file.transaction() as cursor:
        file.delete(cursor, PAIR, {"id": "x"})
    assert file.rows(PAIR, {}) == []


def test_an_error_undoes_all_of_a_transaction(file: Database) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        put_one_by_one(file, ROW, ROW | {"text": object()})
    assert file.rows(PAIR, {}) == []
    put(file, ROW)
    assert file.rows(PAIR, {}) == [ROW]


def test_what_was_committed_survives_a_kill_at_any_instant(tmp_path: Path) -> None:
    path, rng, last = tmp_path / "file.db", random.Random(5), -1
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(rng.randrange(1, 60))]
        threading.Event().wait(rng.uniform(0, 0.01))
        process.send_signal(signal.SIGKILL)
        last = max(last, *said, *map(int, process.communicate()[0].split("\n")[:-1]))
        with closing(opened(path)) as file:
            assert file.is_sound()
            pairs, others = file.rows(PAIR, {}, "number"), file.rows(OTHER, {}, "a")
        assert [row["number"] for row in pairs] == [row["a"] for row in others] == list(range(len(pairs)))
        assert len(pairs) - 1 in (last, last + 1), "one may be committed and not said"


@pytest.mark.parametrize(
    "change_of", ["text = 'some texu'", "number = 0.25", "checksum = 'f'", "text = NULL", "text = x'80ff'", "id = 'y'"]
)
def test_a_row_that_is_not_as_it_was_written_is_found_and_named(file: Database, change_of: str) -> None:
    put(file, ROW, ROW | {"id": "sound"})
    change(file.path, f"UPDATE pair SET {change_of} WHERE id = 'x'")
    with pytest.raises(DamageError, match=r"the row of table pair with id '[xy]' is damaged") as caught:
        file.rows(PAIR, {})
    assert str(file.path) in str(caught.value)
    assert file.rows(PAIR, {"id": "sound"}) == [ROW | {"id": "sound"}]
    whole, damaged = file.sound(PAIR, {})
    assert [row["id"] for row in whole] == ["sound"]
    with file.transaction() as cursor:
        file.forget(cursor, PAIR, damaged)
    assert file.rows(PAIR, {}) == whole


def test_a_text_that_is_none_is_damage_too(file: Database) -> None:
    put(file, ROW)
    change(file.path, "UPDATE pair SET text = CAST(x'80ff' AS TEXT)")
    _, (damaged,) = file.sound(PAIR, {})
    with file.transaction() as cursor:
        file.forget(cursor, PAIR, [damaged])
    assert file.rows(PAIR, {}) == []


def test_a_checksum_tells_values_apart_that_are_equal() -> None:
    different: list[list[object]] = [
        [1],
        [1.0],
        ["1"],
        [True],
        [None],
        [0.0],
        [-0.0],
        [1, 1],
        [[1, 1]],
        ["1", "1"],
        ['1","1'],
    ]
    assert len({checksum(values) for values in different}) == len(different)


def test_a_commit_is_on_the_disk_and_readers_do_not_wait(file: Database) -> None:
    assert file.scalar("PRAGMA journal_mode") == "wal"
    assert file.scalar("PRAGMA synchronous") == 2  # FULL: the log is synced at every commit
    put(file, ROW)
    with file.transaction() as cursor:
        file.delete(cursor, PAIR, {})
        with closing(opened(file.path)) as another:
            assert another.rows(PAIR, {}) == [ROW]


def test_a_writer_waits_for_its_turn_and_says_if_it_does_not_come(
    file: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.1)
    with closing(opened(file.path)) as impatient, file.transaction():
        with pytest.raises(NnexpError, match="cannot be used as a test file: database is locked") as caught:
            put(impatient, ROW)
        assert not isinstance(caught.value, DamageError)
    monkeypatch.setattr(database, "LOCK_SECONDS", 120.0)
    with closing(opened(file.path)) as patient:
        with file.transaction():
            other = threading.Thread(target=release_soon, args=(file.path, waiting := threading.Event()))
            other.start()
            assert not waiting.wait(0.2), "it writes while another does"
        other.join()
        assert patient.rows(PAIR, {}) == [ROW]


def release_soon(path: Path, done: threading.Event) -> None:
    with closing(opened(path)) as mine:
        put(mine, ROW)
        done.set()


def test_a_file_of_another_version_is_refused_and_left_alone(file: Database) -> None:
    file.close()
    before = file.path.read_bytes()
    with pytest.raises(NnexpError, match="is a test file of version 2, this nnexp reads version 3") as caught:
        opened(file.path, version=3)
    assert not isinstance(caught.value, DamageError)
    assert file.path.read_bytes() == before


def test_a_version_that_no_nnexp_wrote_is_damage(file: Database) -> None:
    change(file.path, "PRAGMA user_version = 6")
    with pytest.raises(DamageError, match="its version is damaged"):
        opened(file.path)


@pytest.mark.parametrize("content", [b"my notes " * 1000, b"SQLite format 3\0" + b"\xa5" * 8176], ids=["text", "head"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.db").write_bytes(content)
    with pytest.raises(DamageError, match="cannot be used as a test file") as caught:
        opened(tmp_path / "file.db")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file.db").read_bytes() == content


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.db").mkdir()
    with pytest.raises(NnexpError, match="unable to open") as caught:
        opened(tmp_path / "file.db")
    assert not isinstance(caught.value, DamageError)


def test_a_file_in_place_of_its_folder_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(UsageError, match=r"paths\.root .*root' cannot be used"):
        opened(tmp_path / "root" / "file.db")

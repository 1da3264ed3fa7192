"""A dictionary on disk: joins two files of a set (questions and answers, pictures and captions) in little memory."""

import json
import sqlite3
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self


class Lookup:
    """Key → JSON value, in a temporary file that is gone when the lookup is closed.

    Args:
        pairs: read once; of equal keys the last one counts.
        what: the values are, for the error about a key that is missing.

    Raises:
        OSError: there is no room for the file.
    """

    def __init__(self, pairs: Iterable[tuple[str | int, Any]], what: str) -> None:
        self._what = what
        self._base = sqlite3.connect("")
        self._base.execute("CREATE TABLE pairs (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
        try:
            self._base.executemany(
                "INSERT OR REPLACE INTO pairs VALUES (?, ?)", ((str(key), json.dumps(value)) for key, value in pairs)
            )
        except sqlite3.OperationalError as error:
            raise OSError(f"the temporary file of {what}s cannot be written: {error}; is the disk full?") from error

    def __getitem__(self, key: str | int) -> Any:
        """The value of a key.

        Raises:
            ValueError: there is none.
        """
        found = self._base.execute("SELECT value FROM pairs WHERE key = ?", (str(key),)).fetchone()
        if found is None:
            raise ValueError(f"there is no {self._what} {key!r}; are the files of one release?")
        return json.loads(found[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base.close()

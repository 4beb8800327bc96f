"""Where examples that broke laws are kept, to be tried first: a folder, or a Redis that many share."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

#: What the address of a Redis begins with.
REDIS = ("redis://", "rediss://")


class UnusableDatabase(ValueError):
    """Nothing can be kept there; the message has the remedy."""


def usable_database(place: str) -> str:
    """The place, a folder by its full path. Raises UnusableDatabase where it is a Redis that doesn't
    answer, or can't be a folder."""
    if not place.startswith(REDIS):
        if "://" in place or not place:
            raise UnusableDatabase(
                f"{place!r} is neither a folder nor the address of a Redis, redis://HOST:PORT/NUMBER"
            )
        if Path(place).exists() and not Path(place).is_dir():
            raise UnusableDatabase(f"{place} is no folder: name one that is, or that is not there yet")
        return str(Path(place).absolute())
    try:
        _redis(place).ping()
    except ImportError as error:
        raise UnusableDatabase(f"{error}; install it with: pip install 'tmref[cluster]'") from error
    except Exception as error:
        raise UnusableDatabase(
            f"{place} can't be used ({error}); start a Redis there, or give the address of one that "
            "runs, redis://HOST:PORT/NUMBER"
        ) from error
    return place


def database(place: str, case: str) -> ExampleDatabase:
    """What Hypothesis keeps the examples of a case in, which are nobody else's: its tests all have one
    source, by which it would tell them apart."""
    if place.startswith(REDIS):
        from hypothesis.extra.redis import RedisExampleDatabase

        return RedisExampleDatabase(_redis(place), key_prefix=f"tmref:{case}:".encode())
    return DirectoryBasedExampleDatabase(Path(place) / case.replace(":", "."))


def may_have_some(database: ExampleDatabase) -> bool:
    """Whether examples may be kept there: of a folder that isn't there it is known that none are."""
    return not isinstance(database, DirectoryBasedExampleDatabase) or Path(database.path).is_dir()


@functools.lru_cache
def _redis(place: str) -> Any:
    from redis import Redis

    return Redis.from_url(place, socket_connect_timeout=5)

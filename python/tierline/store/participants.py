"""The stores that a distributed transaction is given, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from tierline.sql.distributed import is_name
from tierline.store.store import Store


def checked(stores: Mapping[str, Store], verb: str, coordinator: str | None = None) -> None:
    """Refuse what is no mapping of stores, and a coordinator that is not in it.

    Raises:
        TypeError, ValueError: It is one of those.
    """
    given = cast("object", stores)
    if not isinstance(given, Mapping):
        raise TypeError(
            f"tl.{verb} takes stores by name, such as {{'orders': a, 'stock': b}}, not "
            f"{type(given).__name__}"
        )
    if not stores:
        raise ValueError(f"tl.{verb} needs at least one store")
    for name, store in cast("Mapping[object, object]", given).items():
        if not isinstance(name, str):
            raise TypeError(f"tl.{verb} takes stores by names of type str, not {name!r:.80}")
        if not is_name(name):
            raise ValueError(
                f"the name of a store has 1 to 63 letters, digits, dots, hyphens and underscores, "
                f"which {name!r:.80} has not"
            )
        if not isinstance(store, Store):
            raise TypeError(f"tl.{verb} takes a tl.Store as {name}, not {type(store).__name__}")
    if len({id(store) for store in stores.values()}) < len(stores):
        raise ValueError(f"tl.{verb} takes each store once; two names mean the same one")
    if coordinator is not None and coordinator not in stores:
        raise ValueError(
            f"coordinator names the store with the log, one of {', '.join(stores)}, not "
            f"{coordinator!r:.80}"
        )

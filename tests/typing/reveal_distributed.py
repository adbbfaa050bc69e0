"""The types that users of distributed transactions see; never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

from reveal_transactions import ACCOUNTS, Account, TooPoorError

import tierline as tl


def own(txs: Mapping[str, tl.Transaction]) -> tl.Result[int, TooPoorError]:
    del txs
    return tl.Success(1)


def ours(txs: Mapping[str, tl.Transaction]) -> tl.Result[Account, tl.RepositoryError]:
    return tl.repository(txs["a"], ACCOUNTS).get_by_id(1)


def transactions(a: tl.Store, b: tl.Store) -> None:
    stores = {"a": a, "b": b}
    assert_type(
        tl.distributed(stores, own, coordinator="a"),
        tl.Result[int, TooPoorError | tl.RepositoryError],
    )
    assert_type(
        tl.distributed(stores, ours, coordinator="a", isolation="serializable", deadline_s=1),
        tl.Result[Account, tl.RepositoryError],
    )
    assert_type(
        tl.distributed(
            stores, lambda txs: txs["b"].count(tl.select(ACCOUNTS)), coordinator="a", recovers=False
        ),
        tl.Result[int, tl.RepositoryError],
    )


def recovery(a: tl.Store, b: tl.Store) -> None:
    stores = {"a": a, "b": b}
    assert_type(tl.distributed_setup(a), tl.Result[None, tl.RepositoryError])
    assert_type(tl.recover(stores, coordinator="a"), tl.Result[tl.Recovery, tl.RepositoryError])
    assert_type(
        tl.recover(stores, coordinator="a", grace_s=0.5),
        tl.Result[tl.Recovery, tl.RepositoryError],
    )
    assert_type(tl.orphans(stores), tl.Result[list[tl.InDoubt], tl.RepositoryError])
    found = tl.unwrap(tl.orphans(stores))
    assert_type(found[0].age_s, float)
    assert_type(tl.unwrap(tl.recover(stores, coordinator="a")).left, tuple[tl.InDoubt, ...])

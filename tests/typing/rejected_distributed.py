"""Mistakes with distributed transactions that both type checkers must find; never run."""

from __future__ import annotations

from collections.abc import Mapping

from reveal_distributed import ours, own

import tierline as tl


def no_result(txs: Mapping[str, tl.Transaction]) -> int:
    return len(txs)


def of_one(tx: tl.Transaction) -> tl.Result[int, tl.RepositoryError]:
    del tx
    return tl.Success(1)


def wrong_calls(a: tl.Store, b: tl.Store) -> None:
    stores = {"a": a, "b": b}
    tl.distributed(stores, own)  # rejected
    tl.distributed(stores, own, coordinator=a)  # rejected
    tl.distributed(stores, no_result, coordinator="a")  # rejected
    tl.distributed(stores, of_one, coordinator="a")  # rejected
    tl.distributed([a, b], own, coordinator="a")  # rejected
    tl.distributed({"a": "postgresql://"}, own, coordinator="a")  # rejected
    tl.distributed(stores, own, coordinator="a", isolation="dirty")  # rejected
    tl.distributed(stores, ours, coordinator="a", deadline_s="1")  # rejected


def wrong_recovery(a: tl.Store, b: tl.Store) -> None:
    tl.recover({"a": a, "b": b})  # rejected
    tl.recover([a, b], coordinator="a")  # rejected
    tl.orphans(a)  # rejected
    tl.distributed_setup({"a": a})  # rejected

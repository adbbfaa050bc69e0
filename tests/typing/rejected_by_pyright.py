"""Mistakes that only pyright finds: it knows which texts stand in the source."""

import tierline as tl


def find(store: tl.Store, name: str) -> None:
    store.execute(tl.sql(f"delete from flights where name = '{name}'"))  # rejected

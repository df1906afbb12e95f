"""The registry: versions of bundles, what tells them apart, and which of them is out there.

`store` is `sqlite:///FILE` or an MLflow server's address, `name` that of the versions (default: the only one there is), a version
its number or an alias. All raise InputError for what is unknown or cannot be read, and MissingDependencyError without MLflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyBundle, AnyPath, open_bundle
from edgeship.api.files import check_outside_of_bundles
from edgeship.light_dataclass import dataclass

if TYPE_CHECKING:
    from edgeship.bundle.bundle import Bundle
    from edgeship.model_registry.adding import Addition
    from edgeship.model_registry.difference import Difference
    from edgeship.model_registry.lineage import Lineage
    from edgeship.model_registry.luck import Luck
    from edgeship.model_registry.pages.page_server import PageServer
    from edgeship.model_registry.paired import PairedFigure
    from edgeship.model_registry.store import Store
    from edgeship.model_registry.version import Promotion, Version

STORE = "sqlite:///registry.db"


@dataclass(frozen=True)
class VersionDetails:
    """A version with the changes of its aliases, and what chance has to do with its gain."""

    version: Version
    promotions: tuple[Promotion, ...]
    luck: Luck


def add_version(bundle: AnyBundle, name: str, *, store: str = STORE) -> Addition:
    """Keep a bundle, whatever its verdict, as the next version of `name`; one that is there already makes no second."""
    from edgeship.model_registry.adding import add_bundle
    from edgeship.model_registry.connection import Place
    from edgeship.model_registry.store import check_name, open_store

    check_name(name)
    source = open_bundle(bundle)
    if file := Place.parse(store).file:
        check_outside_of_bundles(file)
    with open_store(store, create=True) as opened:
        return add_bundle(opened, source, name)


def list_versions(name: str | None = None, *, store: str = STORE) -> tuple[Version, ...]:
    """All versions, of `name` or of every name, by name and number."""
    from edgeship.model_registry.store import open_store

    with open_store(store) as opened:
        return tuple(_versions(opened, name))


def search_versions(query: str, name: str | None = None, *, store: str = STORE) -> tuple[Version, ...]:
    """The versions for which a query holds, as `accuracy > 0.9 and verdict = PASS` (see docs/registry.md)."""
    from edgeship.model_registry.query import search_versions as search
    from edgeship.model_registry.store import open_store

    with open_store(store) as opened:
        return tuple(search(query, _versions(opened, name)))


def show_version(version: int | str, name: str | None = None, *, store: str = STORE) -> VersionDetails:
    """Everything that is known of a version, and whether its gain over the champion may be luck."""
    from edgeship.model_registry.luck import assess_luck
    from edgeship.model_registry.store import open_store

    with open_store(store) as opened:
        row = opened.version(opened.resolve_name(name), str(version))
        promotions = opened.promotions(row.name)
        luck = assess_luck(opened, row, _versions(opened, None), promotions)
        return VersionDetails(
            row, tuple(item for item in promotions if row.number in (item.version, item.previous)), luck
        )


def trace_lineage(version: int | str, name: str | None = None, *, store: str = STORE) -> Lineage:
    """What a version was made of, and which other versions share its server model or its data."""
    from edgeship.model_registry import lineage
    from edgeship.model_registry.store import open_store

    with open_store(store) as opened:
        row = opened.version(opened.resolve_name(name), str(version))
        return lineage.trace_lineage(opened, row, _versions(opened, None))


def compare_versions(before: int | str, after: int | str, name: str | None = None, *, store: str = STORE) -> Difference:
    """What tells two versions apart: paired figures where both were evaluated on the same, recipes, data, sizes, times."""
    from edgeship.model_registry import difference
    from edgeship.model_registry.store import open_store

    with open_store(store) as opened:
        chosen = opened.resolve_name(name)
        one, two = opened.version(chosen, str(before)), opened.version(chosen, str(after))
        return difference.compare_versions(opened, one, two)


def render_difference(difference: Difference) -> str:
    """What `compare_versions` gives as Markdown, for a pull request."""
    from edgeship.model_registry.pages.markdown import render_difference as render

    return render(difference)


def paired_figure_texts(figure: PairedFigure) -> list[str]:
    """Two models on the same samples as texts: which, metric, before, after, gain with its interval or a reason, flips."""
    from edgeship.model_registry.pages.markdown import figure_cells

    return figure_cells(figure)


def promote_version(
    version: int | str,
    name: str | None = None,
    *,
    to: str,
    why: str,
    claim: str = "not-worse",
    despite_refusal: bool = False,
    store: str = STORE,
) -> Promotion:
    """Point the alias `to` (champion, staging) to a version that passes its gate and is not worse than the present champion.

    `claim`: `better` where it has to be. One that `retrain` refused needs `despite_refusal`. Raises CheckError where that does
    not hold or cannot be decided; its `reasons` are what was found of each output for apps, servers and pages.
    """
    from edgeship.errors import unknown_name_error
    from edgeship.model_registry import promotion
    from edgeship.model_registry.store import ALIASES, open_store

    for kind, value, known in (("alias", to, ALIASES), ("claim", claim, promotion.CLAIMS)):
        if value not in known:
            raise unknown_name_error(kind, value, known)
    with open_store(store) as opened:
        row = opened.version(opened.resolve_name(name), str(version))
        return promotion.promote_version(opened, row, to, why, claim, despite_refusal=despite_refusal)


def roll_back_version(name: str | None = None, *, alias: str = "champion", why: str, store: str = STORE) -> Promotion:
    """Point an alias to the version that it pointed to before."""
    from edgeship.errors import unknown_name_error
    from edgeship.model_registry.promotion import roll_back as roll
    from edgeship.model_registry.store import ALIASES, open_store

    if alias not in ALIASES:
        raise unknown_name_error("alias", alias, ALIASES)
    with open_store(store) as opened:
        return roll(opened, opened.resolve_name(name), alias, why)


def export_version(version: int | str, out: AnyPath, name: str | None = None, *, store: str = STORE) -> Bundle:
    """Write a version's bundle to the new folder `out`, byte for byte as it was added."""
    from edgeship.model_registry.adding import export_version as export
    from edgeship.model_registry.store import open_store

    with open_store(store) as opened:
        return export(opened, opened.version(opened.resolve_name(name), str(version)), Path(out))


def write_registry_page(out: AnyPath, *, store: str = STORE) -> Path:
    """Write a static page of all versions with their reports into the folder `out`, and return the page's path."""
    from edgeship.model_registry.pages.index_page import write_index
    from edgeship.model_registry.store import open_store

    check_outside_of_bundles(Path(out))
    with open_store(store) as opened:
        return write_index(opened, opened.names(), Path(out))


def find_registry_server(store: str = STORE, *, port: int = 5000) -> PageServer | None:
    """What serves MLflow's own page of a registry on this machine; None where MLflow is here without its page.

    Raises InputError where the port is in use, too.
    """
    from edgeship.model_registry.pages.page_server import find_server

    return find_server(store, port)


def _versions(store: Store, name: str | None) -> Sequence[Version]:
    names = store.names() if name is None else [store.resolve_name(name)]
    return [row for item in names for row in store.versions(item)]

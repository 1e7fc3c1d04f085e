"""What the owners of Ingresses are told, whatever becomes of the Services that these lead to. Pure."""

from collections.abc import Iterable, Mapping

from lbsync.model.publishing import ReportRecord
from lbsync.publisher.cluster.lister import Lister
from lbsync.publisher.service_changes import ServiceChanges
from lbsync.publisher.store import reports
from lbsync.publisher.store.diff import Identity
from lbsync.publisher.store.index import StoreIndex
from lbsync.publisher.translate import inspect_ingress
from lbsync.schema.publishing import report_key


def ingress_reports(lister: Lister) -> dict[str, ReportRecord]:
    """Return what is said of each Ingress of our classes, by `<ns>/<name>`."""
    return {
        f"{found.namespace}/{found.name}": ReportRecord(
            warnings=tuple(
                str(notice)
                for notice in inspect_ingress(
                    found, lister.publishes, lister.classes.parameters_of(found)
                )
            )
        )
        for found in lister.ours
    }


def ingress_units(
    me: Identity,
    said: Mapping[str, ReportRecord],
    names: Iterable[str],
    stored: StoreIndex,
    stamp: str,
) -> list[ServiceChanges]:
    """Return what must be written for the stored reports about these Ingresses to say what is said.
    `stamp`: the time for new ones."""
    found = []
    for name in sorted(names):
        key = report_key(me.cluster, "ingress", name)
        change = reports.change(key, said.get(name, ReportRecord()), stored.get(key), stamp)
        found.append(ServiceChanges("ingress", name, (), change))
    return found

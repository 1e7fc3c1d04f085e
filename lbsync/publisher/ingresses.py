"""What the owners of Ingresses are told, whatever becomes of the Services that these lead to. Pure."""

from collections.abc import Iterable, Mapping

from lbsync.model.publishing import ReportRecord
from lbsync.publisher import reports
from lbsync.publisher.mirror import Identity
from lbsync.publisher.stored import Stored
from lbsync.publisher.translate import inspect_ingress
from lbsync.publisher.units import Unit
from lbsync.publisher.view import View
from lbsync.schema.publishing import report_key


def ingress_reports(view: View) -> dict[str, ReportRecord]:
    """Return what is said of each Ingress of our classes, by `<ns>/<name>`."""
    return {
        f"{found.namespace}/{found.name}": ReportRecord(
            warnings=tuple(
                str(notice)
                for notice in inspect_ingress(
                    found, view.publishes, view.classes.parameters_of(found)
                )
            )
        )
        for found in view.ours
    }


def ingress_units(
    me: Identity, said: Mapping[str, ReportRecord], names: Iterable[str], stored: Stored, stamp: str
) -> list[Unit]:
    """Return what has to be written for the stored reports about these Ingresses to say what is said.
    `stamp`: the time for new ones."""
    found = []
    for name in sorted(names):
        key = report_key(me.cluster, "ingress", name)
        change = reports.change(key, said.get(name, ReportRecord()), stored.get(key), stamp)
        found.append(Unit("ingress", name, (), change))
    return found

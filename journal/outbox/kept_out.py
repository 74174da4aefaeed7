"""Deliveries that an intermediary, such as a firewall or a limit on a request's size, answers with a page each time.

A page is no verdict, so the delivery is tried again: usually the intermediary answers everything with pages for a
while, as an ingress does during a deployment. If it rejects one delivery only, that must not hold the rest of its run
forever. So after `PAGES` pages

- the next milestone, the end of its session or the start of the next one, may overtake the delivery after each further
  page, as a probe for whether anything else gets through. All that follows still waits, so that nothing newer arrives
  before the delivery, should it be let through after all. An upload is overtaken by all messages of its run: they prove
  nothing about uploads, and no checkpoint of the run overtakes it;
- the delivery becomes a dead letter at the next page, if others of its lane have arrived there since.

While pages answer everything, neither has an effect: the milestone gets a page, too, and waits.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, FromClause, and_, exists, func, or_, select

from journal.kinds import REGISTRATION
from journal.records import Claim
from journal.schema import plausible_times, tables

PAGE = "page"
"""The result of an attempt that an intermediary answered."""
PAGES = 6
"""That many take at least 16 seconds, as waits double from one second on. Behind a balancer with two
servers, of which one answers with pages, one delivery in 64 gets that many."""

_A = tables.attempts
_D = tables.deliveries


def is_passed(delivery: FromClause, by: FromClause) -> ColumnElement[bool]:
    """Return the condition that a delivery goes ahead of one of a lower stage, which is answered by pages and waits.

    A message is passed by the milestone behind it, an upload by all. Milestones, which have odd stages, are not passed:
    one that came later would tell the run's state anew.

    Args:
        delivery: The row that waits.
        by: The row of the same run and destination that goes ahead.
    """
    pages = select(func.count()).where(_A.c.delivery_id == delivery.c.id, _A.c.result == PAGE).scalar_subquery()
    return and_(
        or_(delivery.c.lane == "upload", delivery.c.stage == by.c.stage - 1),
        delivery.c.stage % 2 == 0,
        delivery.c.state == "pending",
        ~plausible_times.attempt_is_due(delivery),
        pages >= PAGES,
    )


def is_kept_out(connection: Connection, claim: Claim) -> bool:
    """Return whether pages have answered a delivery often, and others of its lane have arrived there since.

    Not the registration of a run that is not known: it is looked for first, as it may have been taken.
    """
    if claim.kind == REGISTRATION and not claim.ids:
        return False
    query = select(_A.c.at).where(_A.c.delivery_id == claim.delivery_id, _A.c.result == PAGE).order_by(_A.c.id)
    since = connection.execute(query.offset(PAGES - 1).limit(1)).scalar()
    if since is None:
        return False
    others = (_D.c.destination_id == claim.destination_id, _D.c.lane == claim.lane, _D.c.id != claim.delivery_id)
    return bool(
        connection.execute(
            select(exists().where(*others, _D.c.state == "delivered", _D.c.settled_at >= since))
        ).scalar()
    )

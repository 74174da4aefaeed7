from __future__ import annotations

from uploader.platforms.uploads.resume_points import Ticket, Tickets

PLACE = {"uploadUrl": "https://storage.example/x?signature=s3cret"}


def test_a_ticket_is_kept_until_it_is_forgotten() -> None:
    tickets, ticket = Tickets(), Ticket(PLACE)
    assert tickets.find("a") is None
    tickets.keep("a", ticket)
    assert tickets.find("a") is ticket
    tickets.forget("a")
    tickets.forget("a")
    assert tickets.find("a") is None


def test_only_the_latest_are_kept() -> None:
    tickets = Tickets(most=2)
    for chunk_id in ("a", "b", "b", "c"):
        tickets.keep(chunk_id, Ticket(PLACE))
    assert [tickets.find(chunk_id) is not None for chunk_id in "abc"] == [False, True, True]


def test_a_ticket_shows_no_url() -> None:
    assert "s3cret" not in repr(Ticket(PLACE))

from __future__ import annotations

from uploader.platforms.uploads.resume_points import ResumePoint, ResumePoints

PLACE = {"uploadUrl": "https://storage.example/x?signature=s3cret"}


def test_a_ticket_is_kept_until_it_is_forgotten() -> None:
    points, point = ResumePoints(), ResumePoint(PLACE)
    assert points.find("a") is None
    points.keep("a", point)
    assert points.find("a") is point
    points.forget("a")
    points.forget("a")
    assert points.find("a") is None


def test_only_the_latest_are_kept() -> None:
    points = ResumePoints(most=2)
    for chunk_id in ("a", "b", "b", "c"):
        points.keep(chunk_id, ResumePoint(PLACE))
    assert [points.find(chunk_id) is not None for chunk_id in "abc"] == [False, True, True]


def test_a_ticket_shows_no_url() -> None:
    assert "s3cret" not in repr(ResumePoint(PLACE))

"""How much strangers get done."""

from linkup_nb.wire.rate_limit import Bucket, Rate, RateLimit

EACH, ALL = Rate(per_second=5, burst=10), Rate(per_second=50, burst=100)


def test_each_source_has_its_rate() -> None:
    limit = RateLimit(EACH, ALL, 10, 0.0)
    assert sum(limit.allows("a", 0.0) for _ in range(50)) == 10
    assert limit.allows("b", 0.0)
    assert sum(limit.allows("a", 1.0) for _ in range(50)) == 5


def test_all_sources_together_have_their_rate() -> None:
    limit = RateLimit(EACH, ALL, 10, 0.0)
    assert sum(limit.allows(f"forged {source}", 0.0) for source in range(500)) == 100


def test_so_many_sources_are_remembered_and_no_more() -> None:
    limit = RateLimit(EACH, ALL, 3, 0.0)
    while limit.allows("a", 0.0):
        pass
    for source in "bcd":
        limit.allows(source, 0.0)
    assert limit.allows("a", 0.0)


def test_what_is_over_the_rate_does_not_count() -> None:
    bucket = Bucket(Rate(per_second=100, burst=1000), 0.0)
    assert bucket.take(0.0, 900)
    assert not bucket.take(0.0, 101)
    assert bucket.take(0.0, 100)
    assert not bucket.take(0.5, 51)
    assert bucket.take(0.5, 50)

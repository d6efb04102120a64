import pytest

from linkup_nb.wire.udx.mtu import BASE_PAYLOAD, MAX_PAYLOAD, MIN_STEP, PROBE_TRIES, MtuSearch


def search(limit: int) -> tuple[int, int]:
    """Where a search ends on a path that carries so many bytes of data, and how many probes it took."""
    mtu, probes = MtuSearch(), 0
    while padding := mtu.begin_probe():
        assert mtu.begin_probe() == 0
        probes += 1
        mtu.probe_ended(padding, mtu.payload_size + padding <= limit)
    return mtu.payload_size, probes


@pytest.mark.parametrize("limit", [1152, 1160, 1232, 1300, 1391, 1392, 1444, 1452, 9000])
def test_the_search_ends_close_below_the_limit(limit: int) -> None:
    found, probes = search(limit)
    assert min(limit, MAX_PAYLOAD) - 2 * MIN_STEP < found <= min(limit, MAX_PAYLOAD)
    assert probes <= 8 * PROBE_TRIES


def test_an_ethernet_path_takes_two_probes() -> None:
    assert search(1452) == (1452, 2)


def test_a_probe_has_several_tries() -> None:
    mtu = MtuSearch()
    first = mtu.begin_probe()
    for _ in range(PROBE_TRIES - 1):
        mtu.probe_ended(first, False)
        assert mtu.begin_probe() == first
    mtu.probe_ended(first, False)
    assert mtu.begin_probe() == first // 2
    assert mtu.payload_size == BASE_PAYLOAD

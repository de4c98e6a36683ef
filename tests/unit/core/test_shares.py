from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from duelbench.shares import at_least


def test_a_share_counts_as_it_is_written() -> None:
    """Against decimal arithmetic, which is exact here; binary floating point is one off in many places."""
    off = 0
    for hundredths in range(101):
        share = hundredths / 100
        for of in range(300):
            want = int((Decimal(hundredths) * of / 100).to_integral_value(ROUND_CEILING))
            assert at_least(share, of) == want, (share, of)
            off += of - want != int((1.0 - share) * of)
    assert off > 100

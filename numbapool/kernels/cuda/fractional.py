"""Windows at pseudo-random places, other ones in every plane: where they start is reckoned from a plane's samples, in the samples' dtype, as on the CPU."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.cuda.axis import *

TEMPLATE = True


def windows_of(at, beside, place, d, h, w):
    """As in `forward.py`; a sample that must not be is written behind the last address. `beside`: strides of the samples, and how far those for D, H and W lie from a plane's first."""
    samples = address(at[3], beside[:7], place)
    starts = []
    for k, axis in enumerate((d, h, w)):
        sample = get_sample(samples + beside[7 + k])
        wrong = either(either(sample < 0, sample > 1), isnan(sample))
        report(wide(at[4]), lanes_of([sample]), lanes_of([wrong]))
        inside = pick(sample > 1, one_sample(sample), sample)
        starts.append(start(place[3 + k], pick(sample > 0, inside, no_sample(sample)), axis))
    return (d[TAPS], h[TAPS], w[TAPS]), tuple(starts), tuple(starts)


def start(o, sample, axis):
    """The first element of window o."""
    last = axis[SIZE] - axis[TAPS]
    spaces = at_least(axis[COUNT] - 1, 1)
    pace = div_samples(to_sample(wide(last)), to_sample(wide(spaces)))
    found = mul(add_samples(to_sample(wide(o)), sample), pace)
    found = to_element(found) - to_element(mul(sample, pace))
    # Rounding carries no window further than this; the last one ends with the axis.
    exact, final = o * last // spaces, o + 1 >= axis[COUNT]
    low = pick(final, last, at_least(exact - axis[BEFORE], 0))
    high = pick(final, last, at_most(exact + axis[BEFORE], last))
    return to_index(at_least(at_most(found, high), low))

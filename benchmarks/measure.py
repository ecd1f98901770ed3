"""How it is measured: every result checked, then all contenders timed in turn, round by round."""

import gc
from dataclasses import dataclass, field
from time import perf_counter, process_time, sleep

import numpy as np

from . import cases, peers

FULL_REFERENCE = 5e8  # taps up to which a gradient is checked against the definition in full
# Seconds of calls before a sample: a CPU that was idle is slower for two milliseconds, and an OpenMP team that was asleep
# may need some ticks of the scheduler until each has a CPU.
WARM = 0.03


@dataclass
class Row:
    """The samples of one case in one direction: seconds per call, one a round, {contender: […]}."""

    case: cases.Case
    direction: str
    samples: dict = field(default_factory=dict)
    fresh: dict = field(default_factory=dict)
    wrong: dict = field(default_factory=dict)
    allowed: dict = field(default_factory=dict)
    lacking: dict = field(default_factory=dict)


def measure(case, direction, present, *, threads=2, repeat=9, budget=2.0, pattern=None):
    """Check and time all contenders of a case."""
    row = Row(case, direction)
    data = cases.Data(case)
    contenders, row.lacking = peers.build(peers.Job(case, data, direction, threads), present, pattern)
    contenders = check(row, data, contenders)
    if (
        any(c.name.startswith("numbapool") for c in contenders)
        and direction == "backward"
        and not _in_full(row)
    ):
        check_small(row, threads)
    interleave(row, contenders, repeat, budget)
    return row


def check(row, data, contenders):
    """Compare every result with the definition; where that would take minutes, with the first contender.

    Returns the contenders that gave a result.
    """
    case, direction = row.case, row.direction
    inputs = data.native if direction == "forward" else data.dy
    accepted = cases.tolerance(case, inputs, direction)
    able, expected = set(), None
    if direction == "forward":
        expected = cases.forward(case, data.native)
    elif _in_full(row):
        expected = cases.backward(case, data.native, data.dy)
    # An own defect must not become the yardstick: where there is no definition, a peer comes first.
    for contender in sorted(contenders, key=lambda c: c.name.startswith("numbapool")):
        try:
            with contender.context():
                value = contender.result(contender.run())
        except Exception as error:
            if contender.name.startswith("numbapool"):
                raise
            row.lacking[contender.name] = peers.reason(error)
            continue
        able.add(contender.name)
        if value is None:
            continue
        if expected is None:
            if peers.is_peer(contender.name):
                expected = np.array(value)
                continue
            # Nothing to compare with: all of dy must have arrived somewhere.
            value, expected_sum = value.sum(dtype=np.float64), data.dy.sum(dtype=np.float64)
            if not abs(value - expected_sum) <= 1e-6 * np.abs(data.dy).sum(dtype=np.float64):
                row.wrong[contender.name] = f"the gradient sums to {value} instead of {expected_sum}"
            continue
        fault = compare(value, expected, accepted)
        if fault:
            known = peers.KNOWN_DEFECTS.get((contender.name, direction, case.op))
            (row.allowed if known else row.wrong)[contender.name] = known or fault
    return [c for c in contenders if c.name in able]


def check_small(row, threads):
    """numbapool's gradient of the same case on a small array against the definition."""
    small = row.case.shrunk()
    data = cases.Data(small)
    job = peers.Job(small, data, row.direction, threads)
    expected = cases.backward(small, data.native, data.dy)
    for contender in peers.numbapool(job):
        with contender.context():
            fault = compare(
                contender.result(contender.run()), expected, cases.tolerance(small, data.dy, row.direction)
            )
        if fault:
            row.wrong[contender.name] = f"on {small.name}: {fault}"


def _in_full(row):
    return row.case.op == "avg" or row.case.work <= FULL_REFERENCE


def compare(value, expected, accepted):
    """What is wrong with a result, or an empty string."""
    if value.shape != expected.shape:
        return f"shape {value.shape} instead of {expected.shape}"
    # The rounding to the result's own dtype is not an error.
    ulp = {"bfloat16": 2.0**-8, "float16": 2.0**-11}.get(value.dtype.name, 2.0**-24)
    value = cases.exact(value)
    if accepted == 0:
        differs = value != expected
    else:
        differs = ~(np.abs(value - expected) <= accepted + ulp * np.abs(expected))
    count = np.count_nonzero(differs)
    if not count:
        return ""
    place = tuple(int(i) for i in np.unravel_index(np.argmax(differs), differs.shape))
    return f"{count} of {value.size} differ, first at {place}: {value[place]} instead of {expected[place]}"


def interleave(row, contenders, repeat, budget, least=2e-3):
    """Time the contenders in turn, so that a drift of the machine hits all alike.

    A sample is the mean of as many calls as fill `least` seconds; a slow contender gets fewer rounds, so that
    none takes much more than `budget` seconds. What a single call returns is freed outside the measured time.
    Each begins on a machine that `settle` found quiet, and with calls that do not count: its threads are then awake and
    may spin between its calls as they like, but nobody's spin during another's.
    """
    plan = []
    for contender in contenders:
        with contender.context():
            once = _time(contender, 1)
            _warm(contender, once)
            once = min(once, *(_time(contender, 1) for _ in range(2 if once < 0.1 else 1)))
        settle()
        number = max(1, min(1000, round(least / once)))
        rounds = max(2, min(repeat, int(budget / (once * number))))
        plan.append((contender, number, rounds, once))
        row.samples[contender.name] = []
        row.fresh[contender.name] = contender.fresh
    enabled = gc.isenabled()
    gc.disable()
    try:
        for turn in range(repeat):
            # Every other round backwards: nobody always runs after the same neighbour.
            for contender, number, rounds, once in plan if turn % 2 == 0 else reversed(plan):
                if turn >= rounds:
                    continue
                with contender.context():
                    _warm(contender, once)
                    row.samples[contender.name].append(_time(contender, number))
                settle()
    finally:
        if enabled:
            gc.enable()


def settle(limit=0.5):
    """Sleep until no thread of this process is busy any more: some spin for a tenth of a second after a call."""
    end = perf_counter() + limit
    while perf_counter() < end:
        before = process_time()
        sleep(0.01)
        if process_time() - before < 2e-3:
            break


def _warm(contender, once):
    start = perf_counter()
    while once < 0.1 and perf_counter() - start < WARM:
        contender.run()


def _time(contender, number):
    run = contender.run
    if number == 1:
        start = perf_counter()
        value = run()
        stop = perf_counter()
        del value
        return stop - start
    start = perf_counter()
    for _ in range(number):
        run()
    return (perf_counter() - start) / number

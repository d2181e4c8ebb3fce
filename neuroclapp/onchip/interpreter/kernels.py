"""Many steps of networks, compiled: what `plastic`, `epoch`, `traces` and `neurons` say, to the same bits.

A product of a rule asks for the spike of a neuron, its ``own``, and has factors of that neuron, of the one on
the other side of the synapse, and of the synapse:

    product = mantissa * own * other * synaptic

``own`` is one number for each neuron of that side, as it was at its own last spike; ``other`` is one for each
neuron of the other side and each time at which it may be seen. What has no synaptic factor and factors of
one side only is shifted and clipped before it meets synapses: there it is multiplied by 0 or 1, and added.

Synapses lie in rows of one presynaptic neuron. Integers wrap where numpy's do, in the arrays into which they
are written. All is in one file, since numba does not compile anew what calls a changed function elsewhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .integers import Integers

#: Whose spike a product asks for: that of a row, of a column, or nobody's.
ROW, COLUMN, ALWAYS = 0, 1, 2
#: Where a product has its factors: anywhere, or on one side only.
MIXED, OWN, OTHER = 0, 1, 2
#: What a spike does to x1, in the order of `neuroclapp.onchip.interpreter.traces.GRADED`.
REGULAR, OVERWRITE, SATURATE, OVERFLOW = 0, 1, 2, 3

_FULL = 2**23
NOTHING, ONE = np.int32(0), np.int32(1)
_compiled = numba.njit(cache=True)
_inlined = numba.njit(cache=True, forceinline=True)


class Rules(NamedTuple):
    """A rule as arrays.

    By target: ``begin`` of its products (one more at the end), ``slot`` of its variable among those that are
    used, ``fraction``, ``low``, ``high``, ``tag``. By product: ``spike``, ``place``, ``mantissa``, ``half``,
    ``shift``, ``left``, and ``part``, where in ``factors`` those of own, other and synapse begin and end. A
    factor is a trace's place on its side or a slot, its constant, both ends, and whether a sign is taken.
    ``least`` and ``most`` of an accumulator. uk holds in every ``period``-th epoch. ``long``: in int64.
    """

    begin: Integers
    slot: Integers
    fraction: Integers
    low: Integers
    high: Integers
    tag: NDArray[np.bool_]
    spike: Integers
    place: Integers
    mantissa: Integers
    half: Integers
    shift: Integers
    left: Integers
    part: Integers
    factors: Integers
    least: np.int32
    most: np.int32
    period: int
    slots: int
    long: bool


class Clock(NamedTuple):
    """Constants of a connection; ``echoes``: spikes come back; ``followed``: traces y through an epoch."""

    epoch: int
    payload: bool
    graded: int
    exponent: int
    written: bool
    echoes: bool
    followed: bool
    factor_x: NDArray[np.float64]
    factor_y: NDArray[np.float64]
    again_x: Integers
    most: np.int32


class Drawn(NamedTuple):
    """What random numbers make of a run, in front one entry for each network, or one for all.

    By epoch: what decays are compared with, ``fall_x`` and ``fall_y``; impulses of last spikes ``rise_x``
    (traces) and ``rise_y``. By step: impulses of spikes that are not an epoch's last, ``again_y`` (those of x
    are the same in all steps). For all networks, by epoch: what rounds synapses up, ``upwards`` (targets).
    """

    fall_x: NDArray[np.float64]
    fall_y: NDArray[np.float64]
    rise_x: Integers
    rise_y: Integers
    again_y: Integers
    upwards: Integers


class Now(NamedTuple):
    """What changes, in rows, network by network: synapses (slots and pre, post), traces, by neuron."""

    synapses: Integers
    x: Integers
    y: Integers
    pre_spike: Integers
    post_spike: Integers
    pending: Integers
    u: Integers
    v: Integers


class Cells(NamedTuple):
    """Neurons, if ``there``: see `neuroclapp.onchip.interpreter.neurons.LIF`; ``bias`` by network."""

    there: bool
    high: int
    low: int
    fall_u: float
    fall_v: float
    interval: int
    offset: int
    bias: Integers


class Room(NamedTuple):
    """Arrays to work in.

    ``rows`` (times and 2 traces, pre) and ``columns`` (times and 3, post): traces before an epoch and at the
    end of its steps. ``seen`` (products and times + 2, units): other at each time, own, and a product's
    addend in one row of synapses. ``always`` (1, units): the epoch's end. ``before`` (slots, post) and
    ``after`` (1, post): one row. ``active`` and ``size`` (products,): where in ``seen`` an addend stands, and
    what it is multiplied by. ``each`` (targets, networks and rows, columns): what rounds each synapse up, or
    empty.
    """

    rows: Integers
    columns: Integers
    seen: Integers
    always: Integers
    before: Integers
    after: Integers
    active: Integers
    size: Integers
    each: Integers


@_compiled
def advance(
    rules: Rules,
    clock: Clock,
    drawn: Drawn,
    now: Now,
    cells: Cells,
    room: Room,
    sent: Integers,
    written: Integers,
    arriving: Integers,
    back: Integers,
    step: int,
    age: int,
    unsettled: bool,
) -> None:
    """Take the steps of ``sent`` (steps, networks, pre) after time step ``step``, the neurons' ``age``.

    Fills ``arriving`` (steps, networks, post), and ``back`` with the neurons' spikes where there are
    neurons. ``written`` (steps, 3, networks, post) is what they write, where they do. ``unsettled`` says
    that synapses may be out of their range.
    """
    steps, networks, pre = sent.shape
    for network in range(networks):
        one = network % len(drawn.fall_x)
        whole, epoch = unsettled, 0
        for n in range(steps):
            time = (step + n) % clock.epoch + 1
            for i in range(arriving.shape[2]):
                arriving[n, network, i] = now.pending[network, i]
            if cells.there:
                restart = cells.interval > 0 and (age + n + 1 - cells.offset) % cells.interval == 0
                _fire(cells, restart, now.pending, now.u, now.v, back, n, network)
            _bring(now.synapses, network * rules.slots * pre, sent, n, network, clock, now.pending)
            _hear(clock, now.x, now.pre_spike, sent, n, network, time)
            if clock.echoes:
                _echo(clock, now.y, now.post_spike, back, n, network, time, drawn.again_y[one, n])
            if time < clock.epoch:
                continue
            if clock.written:
                for k in range(3):
                    now.y[3 * network + k] = written[n, k, network]
            fall, rise = drawn.fall_x[one, epoch], drawn.rise_x[one, epoch]
            _follow(room.rows, clock.factor_x, now.x, now.pre_spike, network, fall, rise, clock.most)
            if clock.followed:
                fall, rise = drawn.fall_y[one, epoch], drawn.rise_y[one, epoch]
                _follow(room.columns, clock.factor_y, now.y, now.post_spike, network, fall, rise, clock.most)
            holds = (step + n + 1) // clock.epoch % rules.period == 0
            _look(rules, room, now.pre_spike, now.post_spike, network, holds)
            upwards, spikes = drawn.upwards[epoch], (now.pre_spike, now.post_spike)
            whole = _learn(rules, room, now.synapses, spikes, network, upwards, holds, whole)
            for k in range(2):
                _copy(now.x, 2 * network + k, room.rows, len(room.rows) - 2 + k)
            if not clock.written:
                for k in range(3):
                    _copy(now.y, 3 * network + k, room.columns, len(room.columns) - 3 + k)
            now.pre_spike[network] = 0
            now.post_spike[network] = 0
            epoch += 1


@_compiled
def _fire(cells, restart, arriving, u, v, fired, n, network):  # type: ignore[no-untyped-def]
    """Take a step of neurons."""
    fall_u, fall_v, high, low, bias = cells.fall_u, cells.fall_v, cells.high, cells.low, cells.bias
    if restart:
        u[network] = 0
        v[network] = 0
    for i in range(u.shape[1]):
        now = np.int32(np.int32(u[network, i] * fall_u) + (arriving[network, i] << 6))
        now = np.int32(now + (np.int32(now <= -_FULL) - np.int32(now > _FULL)) * 2 * _FULL)
        charge = np.int32(np.int32(v[network, i] * fall_v) + now + bias[network, i])
        charge = min(max(charge, np.int32(1 - _FULL)), np.int32(_FULL - 1))
        spike = np.int32(np.int32(charge > high) - np.int32(charge < low))
        fired[n, network, i] = spike
        u[network, i] = now
        v[network, i] = NOTHING if spike != 0 else charge


@_compiled
def _bring(synapses, first, sent, n, network, clock, pending):  # type: ignore[no-untyped-def]
    """Weight a step's spikes."""
    units, payload, exponent = pending.shape[1], clock.payload, clock.exponent
    pending[network] = 0
    for row in range(sent.shape[2]):
        value = sent[n, network, row]
        if value != 0:
            if payload:
                for i in range(units):
                    pending[network, i] += value * synapses[first + row, i]
            else:
                for i in range(units):
                    pending[network, i] += synapses[first + row, i]
    if exponent > 31:
        pending[network] = 0
    elif exponent > 0:
        for i in range(units):
            pending[network, i] = pending[network, i] << exponent
    elif exponent < 0:
        for i in range(units):
            pending[network, i] = pending[network, i] >> min(-exponent, 31)


@_compiled
def _hear(clock, x, spike, sent, n, network, time):  # type: ignore[no-untyped-def]
    """Note presynaptic spikes: see `PlasticDense`."""
    graded, most, again, k1 = clock.graded, clock.most, clock.again_x, 2 * network
    wrap = np.int32(2 * most + 1)
    for i in range(sent.shape[2]):
        value = sent[n, network, i]
        heard = value != 0
        if graded != REGULAR:
            if heard:
                payload = value if clock.payload else ONE
                low = payload >> 1
                half = (low + (payload & low & 1)) & wrap
                x[k1, i] = half if graded == OVERWRITE else x[k1, i] + half
            if graded != OVERWRITE:
                x[k1, i] &= wrap
                over = x[k1, i] > most
                if graded == SATURATE:
                    x[k1, i] = min(x[k1, i], most)
                else:
                    x[k1, i] -= most * over
                    heard = heard and over
        if heard:
            if spike[network, i] > 0:
                for k in range(0 if graded == REGULAR else 1, 2):
                    x[k1 + k, i] = min(max(np.int32(x[k1 + k, i] + again[k]), NOTHING), most)
            spike[network, i] = time


@_compiled
def _echo(clock, y, spike, back, n, network, time, again):  # type: ignore[no-untyped-def]
    """Note postsynaptic spikes."""
    for i in range(back.shape[2]):
        if back[n, network, i] != 0:
            if spike[network, i] > 0 and not clock.written:
                for k in range(3 * network, 3 * network + 3):
                    y[k, i] = min(max(np.int32(y[k, i] + again[k % 3]), NOTHING), clock.most)
            spike[network, i] = time


@_compiled
def _follow(history, factor, traces, spike, network, fall, rise, most):  # type: ignore[no-untyped-def]
    """Follow traces through an epoch: ``history`` (times and traces, units)."""
    kinds, units = len(factor), history.shape[1]
    for k in range(kinds):
        for i in range(units):
            history[k, i] = traces[network * kinds + k, i]
    for row in range(kinds, len(history)):
        k, time = row % kinds, row // kinds
        if factor[k] == 1.0:
            _strike(history, row, kinds, rise[k], spike, network, time, most)
        else:
            _decay_and_strike(history, row, kinds, factor[k], fall, rise[k], spike, network, time, most)


@_inlined
def _strike(history, row, kinds, rise, spike, network, time, most):  # type: ignore[no-untyped-def]
    for i in range(history.shape[1]):
        value = history[row - kinds, i]
        struck = min(max(np.int32(value + rise), NOTHING), most)
        history[row, i] = struck if spike[network, i] == time else value


@_inlined
def _decay_and_strike(history, row, kinds, factor, fall, rise, spike, network, time, most):  # type: ignore[no-untyped-def]
    for i in range(history.shape[1]):
        exact = factor * history[row - kinds, i]
        floor = np.floor(exact)
        value = np.int32(floor + (1.0 if fall < exact - floor else 0.0))
        struck = min(max(np.int32(value + rise), NOTHING), most)
        history[row, i] = struck if spike[network, i] == time else value


@_compiled
def _look(rules, room, row_time, column_time, network, holds):  # type: ignore[no-untyped-def]
    """Find what products make of neurons at the end of an epoch."""
    seen, factors, part, most, least = room.seen, rules.factors, rules.part, rules.most, rules.least
    times = len(seen) // len(rules.spike) - 2
    row_kinds, column_kinds = len(room.rows) // times, len(room.columns) // times
    for p in range(len(rules.spike)):
        kind, place, mantissa, first = rules.spike[p], rules.place[p], rules.mantissa[p], p * (times + 2)
        mine, kinds, time, here = room.rows, row_kinds, row_time, network
        theirs, others, since = room.columns, column_kinds, 1
        if kind == COLUMN:
            mine, kinds, time = room.columns, column_kinds, column_time
            theirs, others = room.rows, row_kinds
        elif kind == ALWAYS:
            time, here, since = room.always, 0, times - 1
            if not holds:
                continue
        own, other = (ONE, mantissa) if place == OTHER else (mantissa, ONE)
        _look_own(factors, part[p, 0], part[p, 1], own, seen, first + times, mine, kinds, time, here)
        _look_other(factors, part[p, 1], part[p, 2], other, seen, first, since, times, theirs, others)
        if place != MIXED:
            begin, end = (times, times + 1) if place == OWN else (since, times)
            for at in range(begin, end):
                _shift(seen, first + at, rules.shift[p], rules.left[p], rules.half[p], least, most)


@_inlined
def _look_own(factors, begin, end, mantissa, seen, to, traces, kinds, time, network):  # type: ignore[no-untyped-def]
    units = traces.shape[1]
    for i in range(units):
        seen[to, i] = mantissa if time[network, i] > 0 else 0
    for f in range(begin, end):
        trace, constant, low, high = factors[f, 0], factors[f, 1], factors[f, 2], factors[f, 3]
        if len(traces) == 2 * kinds:
            _multiply(seen, to, traces, kinds + trace, constant, low, high, units)
        else:
            for i in range(units):
                value = np.int32(traces[np.uint32(time[network, i] * kinds + trace), i] + constant)
                seen[to, i] *= min(max(value, low), high)


@_inlined
def _look_other(factors, begin, end, mantissa, seen, to, since, times, traces, kinds):  # type: ignore[no-untyped-def]
    units = traces.shape[1]
    for at in range(since, times):
        for i in range(units):
            seen[to + at, i] = mantissa
        for f in range(begin, end):
            row = kinds * at + factors[f, 0]
            _multiply(seen, to + at, traces, row, factors[f, 1], factors[f, 2], factors[f, 3], units)


@_inlined
def _multiply(product, to, values, row, constant, low, high, units):  # type: ignore[no-untyped-def]
    """Multiply by a factor."""
    for i in range(units):
        product[to, i] *= min(max(np.int32(values[row, i] + constant), low), high)


@_inlined
def _multiply_sign(product, to, values, row, constant, units):  # type: ignore[no-untyped-def]
    for i in range(units):
        value = np.int32(values[row, i] + constant)
        product[to, i] *= np.int32(value > 0) - np.int32(value < 0)


@_inlined
def _shift(product, to, shift, left, half, least, most):  # type: ignore[no-untyped-def]
    """Make of products what they add to an accumulator."""
    if half:
        for i in range(product.shape[1]):
            product[to, i] += half
    if shift > 31:  # of long products only
        for i in range(product.shape[1]):
            product[to, i] = product[to, i] >> 31
        shift -= 31
    for i in range(product.shape[1]):
        product[to, i] = product[to, i] >> (shift & 31)
        product[to, i] = product[to, i] << (left & 31)
        product[to, i] = min(max(product[to, i], least), most)


@_compiled
def _learn(rules, room, synapses, spikes, network, upwards, holds, whole):  # type: ignore[no-untyped-def]
    """Change a network's synapses at the end of an epoch; say whether the next one must look at them all."""
    begin, slot, spike, place, part = rules.begin, rules.slot, rules.spike, rules.place, rules.part
    fraction, factors, least, most = rules.fraction, rules.factors, rules.least, rules.most
    seen, before, after, active, size = room.seen, room.before, room.after, room.active, room.size
    row_time, column_time = spikes
    each, (slots, columns) = room.each, before.shape
    rows, targets, times = row_time.shape[1], len(slot), len(seen) // len(spike) - 2
    some = False
    for i in range(columns):
        some |= column_time[network, i] > 0
    everywhere = whole
    for p in range(len(spike)):
        everywhere |= (spike[p] == COLUMN and some) or (spike[p] == ALWAYS and holds)
    lowest = False
    for row in range(rows):
        if not everywhere and row_time[network, row] == 0:
            continue
        first = network * slots * rows + row
        for k in range(slots):
            _copy(before, k, synapses, first + k * rows)
        for target in range(targets):
            count = 0
            for p in range(begin[target], begin[target + 1]):
                kind, base = spike[p], p * (times + 2)
                own, addend = base + times, base + times + 1
                if kind == COLUMN:
                    at, factor = own, seen[base + 1, row] if some else 0
                    if times > 2 and place[p] != OWN and some:
                        at, factor = addend, 1
                        _gather(seen, addend, own, base, column_time, network, row, columns)
                elif kind == ROW:
                    at, factor = base + row_time[network, row], seen[own, row]
                else:
                    at, factor = base + times - 1, seen[own, row] if holds else 0
                if factor == 0:
                    continue
                if place[p] == MIXED:
                    shift, left, half, f = rules.shift[p], rules.left[p], rules.half[p], part[p, 2]
                    inner = part[p, 3] - f
                    if inner == 0 and shift < 32:
                        _scale_and_shift(seen, addend, factor, at, half, shift, left, least, most)
                    elif inner == 1 and factors[f, 4] and shift < 32:
                        k, constant = factors[f, 0], factors[f, 1]
                        _sign_and_shift(
                            seen, addend, factor, at, before, k, constant, half, shift, left, least, most
                        )
                    else:
                        _scale(seen, addend, factor, at, columns)
                        for f in range(part[p, 2], part[p, 3]):
                            k, constant, low, high = (
                                factors[f, 0],
                                factors[f, 1],
                                factors[f, 2],
                                factors[f, 3],
                            )
                            if factors[f, 4]:
                                _multiply_sign(seen, addend, before, k, constant, columns)
                            else:
                                _multiply(seen, addend, before, k, constant, low, high, columns)
                        _shift(seen, addend, shift, left, half, least, most)
                    at, factor = addend, 1
                active[count] = at
                size[count] = factor
                count += 1
            if count == 0 and not whole:
                continue
            up, bits, low, high = upwards[target], fraction[target], rules.low[target], rules.high[target]
            # Between these ends a sum is in its target's range when it is rounded.
            bottom = np.int32(max(0 if low == 0 else least, (low << bits) - up))
            top = np.int32(min(0 if high == 0 else most, ((high + 1) << bits) - 1 - up))
            to, scale = first + slot[target] * rows, np.int32(1 << bits)
            values, k = before, np.int64(slot[target])
            if whole and (count == 0 or active[0] > (begin[target] + 1) * (times + 2)):
                _add(after, values, k, scale, NOTHING, seen, 0, least, most)
                values, k, scale = after, 0, ONE
            for c in range(count - 1):
                _add(after, values, k, scale, size[c], seen, active[c], least, most)
                values, k, scale = after, 0, ONE
            last = max(count - 1, 0)
            final = size[last] if count > 0 else NOTHING
            if len(each):
                up_at = (target * len(row_time) + network) * rows + row
                bottom, top = (
                    np.int32(NOTHING if low == 0 else least),
                    np.int32(NOTHING if high == 0 else most),
                )
                _add(after, values, k, scale, final, seen, active[last], bottom, top)
                _round_each(synapses, to, after, each, up_at, bits, low, high)
            else:
                _round(synapses, to, values, k, scale, final, seen, active[last], bottom, top, up, bits)
            if rules.tag[target]:
                lowest |= _any_equal(synapses, to, low)
    return lowest


@_inlined
def _copy(to, row, values, at):  # type: ignore[no-untyped-def]
    for i in range(to.shape[1]):
        to[row, i] = values[at, i]


@_inlined
def _gather(seen, to, own, base, time, network, row, units):  # type: ignore[no-untyped-def]
    for i in range(units):
        seen[to, i] = seen[own, i] * seen[np.uint32(base + time[network, i]), row]


@_inlined
def _scale(seen, to, size, at, units):  # type: ignore[no-untyped-def]
    for i in range(units):
        seen[to, i] = size * seen[at, i]


@_inlined
def _scale_and_shift(seen, to, size, at, half, shift, left, least, most):  # type: ignore[no-untyped-def]
    """Do at once what `_scale` and `_shift` do."""
    for i in range(seen.shape[1]):
        seen[to, i] = size * seen[at, i]
        seen[to, i] += half
        seen[to, i] = seen[to, i] >> (shift & 31)
        seen[to, i] = seen[to, i] << (left & 31)
        seen[to, i] = min(max(seen[to, i], least), most)


@_inlined
def _sign_and_shift(seen, to, size, at, values, row, constant, half, shift, left, least, most):  # type: ignore[no-untyped-def]
    """Do at once what `_scale`, `_multiply_sign` and `_shift` do."""
    for i in range(values.shape[1]):
        value = np.int32(values[row, i] + constant)
        seen[to, i] = size * seen[at, i]
        seen[to, i] *= np.int32(value > 0) - np.int32(value < 0)
        seen[to, i] += half
        seen[to, i] = seen[to, i] >> (shift & 31)
        seen[to, i] = seen[to, i] << (left & 31)
        seen[to, i] = min(max(seen[to, i], least), most)


@_inlined
def _any_equal(values, row, value):  # type: ignore[no-untyped-def]
    found = False
    for i in range(values.shape[1]):
        found |= values[row, i] == value
    return found


@_inlined
def _add(summed, values, row, scale, size, seen, at, least, most):  # type: ignore[no-untyped-def]
    """Add a product to an accumulator ``values * scale``."""
    for i in range(summed.shape[1]):
        value = np.int32(values[row, i] * scale)
        value = np.int32(value + np.int32(size * seen[at, i]))
        summed[0, i] = min(max(value, least), most)


@_inlined
def _round(to, row, values, at, scale, size, seen, seen_at, bottom, top, up, bits):  # type: ignore[no-untyped-def]
    """Add a product to an accumulator ``values * scale``, and round it into its variable."""
    for i in range(to.shape[1]):
        value = np.int32(values[at, i] * scale)
        value = np.int32(value + np.int32(size * seen[seen_at, i]))
        value = np.int32(min(max(value, bottom), top) + up)
        to[row, i] = value >> (bits & 31)


@_inlined
def _round_each(to, row, values, each, at, bits, low, high):  # type: ignore[no-untyped-def]
    """Round an accumulator, each synapse by a number of its own."""
    for i in range(to.shape[1]):
        value = np.int32(values[0, i] + each[at, i]) >> (bits & 31)
        to[row, i] = min(max(np.int32(value), low), high)


@_compiled
def learn_once(
    rules: Rules,
    room: Room,
    synapses: Integers,
    row_traces: Integers,
    column_traces: Integers,
    row_spike: Integers,
    column_spike: Integers,
    upwards: Integers,
    holds: bool,
) -> None:
    """Let networks learn for one epoch of one step, from traces (networks and kinds, units) as they are."""
    networks = len(row_spike)
    row_kinds, column_kinds = len(row_traces) // networks, len(column_traces) // networks
    for network in range(networks):
        for k in range(row_kinds):
            _copy(room.rows, row_kinds + k, row_traces, network * row_kinds + k)
        for k in range(column_kinds):
            _copy(room.columns, column_kinds + k, column_traces, network * column_kinds + k)
        _look(rules, room, row_spike, column_spike, network, holds)
        _learn(rules, room, synapses, (row_spike, column_spike), network, upwards, holds, True)

"""The engine's loops that numpy has no call for, compiled by numba at their first call and then kept on disk.

No arithmetic is reordered (no ``fastmath``): the same call gives the same bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Targets that packets are brought to at a time: weights of 1024 sources onto so many fit a core's cache.
PANEL = 64
#: Weights that are turned from rows of targets into rows of sources at a time: two lines of a cache.
LINE = 16


@njit(cache=True, nogil=True)
def events(packets, room):
    """Return where ``packets`` (rows, sources) are not 0, and whether there are at most ``room`` of them.

    ``first`` (rows + 1,): where the events of a row begin; ``source`` and ``size`` of each event.
    """
    rows, sources = packets.shape
    first = np.zeros(rows + 1, np.int64)
    source, size = np.empty(room, np.int64), np.empty(room)
    count = 0
    for row in range(rows):
        for unit in range(sources):
            packet = packets[row, unit]
            if packet != 0:
                if count == room:
                    return first, source, size, False
                source[count], size[count] = unit, packet
                count += 1
        first[row + 1] = count
    return first, source, size, True


@njit(cache=True, nogil=True)
def propagate(w, first, source, size, arriving):
    """Set ``arriving`` (rows, targets) to what `events` bring through ``w`` (targets, sources).

    Each sum is in the order of sources. Weights are read once, a panel of targets at a time, and laid out
    source by source, so that an event adds a row of them to all targets of the panel.
    """
    targets, sources = w.shape
    panel, charge = np.zeros((sources, PANEL)), np.empty(PANEL)
    for start in range(0, targets, PANEL):
        width = min(PANEL, targets - start)
        for begin in range(0, sources, LINE):
            for target in range(width):
                for unit in range(begin, min(begin + LINE, sources)):
                    panel[unit, target] = w[start + target, unit]
        for row in range(len(first) - 1):
            charge[:] = 0.0
            event, last = first[row], first[row + 1]
            while event + 4 <= last:  # four at a time, to load and store the charges less often
                n0, n1, n2, n3 = size[event], size[event + 1], size[event + 2], size[event + 3]
                w0, w1 = panel[source[event]], panel[source[event + 1]]
                w2, w3 = panel[source[event + 2]], panel[source[event + 3]]
                for target in range(PANEL):
                    charge[target] = (
                        charge[target] + n0 * w0[target] + n1 * w1[target] + n2 * w2[target] + n3 * w3[target]
                    )
                event += 4
            while event < last:
                n0, w0 = size[event], panel[source[event]]
                for target in range(PANEL):
                    charge[target] += n0 * w0[target]
                event += 1
            arriving[row, start : start + width] = charge[:width]


@njit(cache=True, nogil=True)
def integrate(drive, constant, steps_on, release, most, packets, v):
    """Set ``packets`` (batch, steps, units) of integrate-and-fire units; ``v`` (batch, units) as they go on.

    In each step v += drive of the step before, v += constant while step < steps_on, then before the release
    n = clip(floor(v), 0, most) and v -= n. ``drive`` (batch, steps or 0, units), ``constant`` (batch or 1,
    units).
    """
    batch, steps, units = packets.shape
    driven = drive.shape[1]
    for number in range(batch):
        membrane, always = v[number], constant[min(number, len(constant) - 1)]
        for step in range(steps):
            if 0 < step <= driven:
                arriving = drive[number, step - 1]
                for unit in range(units):
                    membrane[unit] += arriving[unit]
            if step < steps_on:
                for unit in range(units):
                    membrane[unit] += always[unit]
            sent = packets[number, step]
            if step >= release:
                sent[:] = 0.0
                continue
            for unit in range(units):
                n = min(max(np.floor(membrane[unit]), 0.0), most)
                sent[unit] = n
                membrane[unit] -= n


@njit(cache=True, nogil=True)
def change(weights, chosen, posts, pres, grid, bounds):
    """Add ``sum of post pre^T`` to each chosen matrix of ``weights`` (batch, post, pre) itself, in one pass.

    ``posts`` (one or two products, chosen, post), ``pres`` (..., chosen, pre). Weights are then rounded to
    multiples of ``grid``, a power of two or 0 for none, and clipped to ``bounds`` (chosen,). Where all
    post sides are 0 and there is no bound, a row of weights (of one postsynaptic unit) is left alone.
    """
    places = 1 / grid if grid else 0.0
    for number in range(len(chosen)):
        matrix, bound = weights[chosen[number]], bounds[number]
        pre, other_pre = pres[0, number], pres[-1, number]
        for unit in range(len(matrix)):
            post, row = posts[0, number, unit], matrix[unit]
            other_post = posts[1, number, unit] if len(posts) == 2 else 0.0
            if post == 0 and other_post == 0 and bound == np.inf:
                continue
            for source in range(len(row)):
                w = row[source] + post * pre[source] + other_post * other_pre[source]
                if grid:
                    w = np.floor(w * places + 0.5) * grid
                if bound < np.inf:
                    w = min(max(w, -bound), bound)
                row[source] = w

"""A plain numpy simulator of the spiking populations, written from the equations: the oracle for spikes.

It shares no code with the Brian2 simulation: only the description of the populations and the weights.
Rules are written out here once more by hand, from Eqs. 3, 4, 13 and 14, and so is what disturbs them.
"""

from __future__ import annotations

from math import comb
from types import SimpleNamespace

import numpy as np


def survivors(lot, fired, loss, lots=4096):
    """Return the least k with P(Binomial(fired, 1 - loss) <= k) >= (lot + 1/2) / lots."""
    below = 0.0
    for k in range(int(fired) + 1):
        below += comb(int(fired), k) * (1 - loss) ** k * loss ** (int(fired) - k)
        if below >= (lot + 0.5) / lots:
            return k
    return int(fired)


class Axon:
    """What leaves a population in each step of a presentation, of what it fired in this and earlier steps."""

    def __init__(self, axon, drawn, number, n, timing):
        self.loss, self.release = axon.loss, timing.release
        self.lots = drawn.lots[number][n] if axon.loss else None
        self.late = drawn.late[number][n] if axon.jitter else None
        self.arrivals = {}

    def __call__(self, step, fired):
        sent = np.array(fired)
        for unit in np.flatnonzero(fired):
            if self.loss:
                sent[unit] = survivors(self.lots[step, unit], fired[unit], self.loss)
            if self.late is not None:
                when = step + int(self.late[step, unit])
                self.arrivals.setdefault(when, np.zeros(len(fired)))[unit] += sent[unit]
        if self.late is None:
            return sent
        return self.arrivals.get(step, np.zeros(len(fired))) * (step < self.release)


def simulate(
    populations,
    weights,
    inputs,
    sign,
    learn=True,
    packets=None,
    permutations=None,
    dendrite="intact",
    level=1.0,
    delay=0,
    drawn=None,
):
    """Run presentations; return per-presentation records by layer and the final weights.

    ``packets``, if a list, receives an array (steps, units) per presentation for each layer.
    ``permutations``, ``dendrite``, ``level`` and ``delay`` are what a control does; ``drawn`` holds what is
    random.
    """

    def found(charge, n, index):
        if dendrite == "mean":
            return np.full(len(charge), sum(charge) / len(charge))
        if dendrite in ("constant", "absent"):
            return np.full(len(charge), level if dendrite == "constant" else 0.0)
        return charge if permutations is None else charge[permutations[n, index]]

    timing, source, layers = populations.timing, populations.input, populations.layers
    top, from_top = len(layers) - 1, populations.plasticity.context == "top"
    feedback = populations.plasticity.prediction.feedback
    half = 0.5 if feedback == "split" else 1.0
    separate = populations.plasticity.prediction.gate == "separate"
    retrodicts = [feedback if index == top or not from_top else "blocked" for index in range(len(layers))]
    w = {name: np.array(array) for name, array in weights.items()}
    kept = [
        SimpleNamespace(
            apical=np.zeros(layer.soma.units),
            c=np.zeros(layer.soma.units),
            rho=np.zeros(layer.soma.units),
            x=None,
            late=[],
            late_retro=[],
        )
        for layer in layers
    ]
    names = ("count", "charge", "apical", "retro", "gamma", "total", "gamma_retro", "total_retro")
    records = [SimpleNamespace(**{name: [] for name in names}) for _ in layers]
    input_counts = []
    for n in range(len(inputs)):
        v_in, count_in = np.full(source.units, 0.5), np.zeros(source.units)
        charge = inputs[n] / (source.quantum * timing.steps_on)
        now = []
        for layer, before in zip(layers, kept, strict=True):
            u = layer.soma.units
            apical = found(before.apical, n, len(now))
            now.append(
                SimpleNamespace(
                    v=np.full(u, 0.5),
                    count=np.zeros(u),
                    drive=np.zeros(u),
                    next=np.zeros(u),
                    retro=np.zeros(u),
                    evidence=np.zeros(len(layer.listens)),
                    apical=apical,
                    steps=[],
                    axon=Axon(populations.axon, drawn, len(now) + 1, n, timing),
                )
            )
        works = [_works(layer, drawn, index, n) for index, layer in enumerate(layers)]
        input_axon = Axon(populations.input_axon, drawn, 0, n, timing)
        for step in range(timing.steps):
            if step < timing.steps_on:
                v_in += charge
            sent = np.clip(np.floor(v_in), 0, source.neurons) * (step < timing.release)
            v_in -= sent
            sent = input_axon(step, sent)
            count_in += sent
            below, quantum = sent, source.quantum
            for index, (layer, s) in enumerate(zip(layers, now, strict=True)):
                bias = (
                    w.get(f"{layer.name}.bias", 0.0)
                    * (step < timing.steps_on)
                    / (layer.soma.quantum * timing.steps_on)
                )
                s.v += s.drive + bias
                packet = np.clip(np.floor(s.v), 0, layer.soma.neurons) * (step < timing.release)
                s.v -= packet
                packet = s.axon(step, packet)
                s.count += packet
                s.drive = w[f"{layer.name}.w_ff"] @ below * (quantum / layer.soma.quantum)
                z = packet * layer.soma.quantum
                if not from_top:
                    s.next += w[f"{layer.name}.w_pred"] @ z
                elif index == top:
                    for below_top, other in zip(layers, now, strict=True):
                        other.next += w[f"{below_top.name}.w_pred"] @ z
                if retrodicts[index] == "split":
                    s.retro += w[f"{layer.name}.w_retro"] @ z
                if retrodicts[index] == "symmetric":
                    s.retro += w[f"{layer.name}.w_pred"].T @ z
                if step == timing.release - 1:
                    s.overheard = np.array(s.retro)
                for unit, soma in zip(*np.nonzero(layer.listens), strict=True):
                    if works[index][unit, soma] and unit < 2 * layer.modulator.units:
                        s.evidence[unit] += layer.listens[unit, soma] * s.apical[soma] * z[soma]
                s.steps.append(packet)
                below, quantum = packet, layer.soma.quantum
        if packets is not None:
            packets.append([np.array(s.steps) for s in now])
        input_counts.append(count_in)
        x, changes = count_in * source.quantum, {}
        for index, (layer, s, before, r) in enumerate(zip(layers, now, kept, records, strict=True)):
            m = layer.modulator
            two = separate and retrodicts[index] == "split"
            for unit in range(2 * m.units, len(layer.listens) if two else 0):
                remembered = found(s.overheard, n, index) * before.c
                s.evidence[unit] = sum(layer.listens[unit] * works[index][unit] * remembered)
            if m.noise or m.common_noise:
                s.evidence = s.evidence + drawn.noise[index][n]
            halves = np.split(s.evidence, 4 if two else 2)
            gamma, fired = _released(m, halves[:2], sign[n])
            before.late.append(gamma)
            gamma = before.late[-1 - delay] if len(before.late) > delay else 0.0
            gamma_retro, fired_retro = _released(m, halves[2:], sign[n]) if two else (gamma, None)
            before.late_retro.append(gamma_retro)
            gamma_retro = gamma
            if two:
                gamma_retro = before.late_retro[-1 - delay] if len(before.late_retro) > delay else 0.0
            retro = found(s.retro, n, index) if retrodicts[index] != "blocked" else 0.0 * s.retro
            c = kept[top].c if from_top else before.c
            z = s.count * layer.soma.quantum
            rho = (s.count + s.v - 0.5 > 0).astype(float)
            if learn and (gamma or gamma_retro):
                eta, eta_pred = half * layer.eta, half * layer.eta_pred
                post_tau, post_t = gamma * s.apical * rho, gamma_retro * retro * before.rho
                changes[f"{layer.name}.w_ff"] = eta * (np.outer(post_tau, x) + np.outer(post_t, before.x))
                if f"{layer.name}.bias" in w:
                    changes[f"{layer.name}.bias"] = eta * (post_tau + post_t)
                changes[f"{layer.name}.w_pred"] = eta_pred * gamma * np.outer(z, c)
                if retrodicts[index] == "split":
                    changes[f"{layer.name}.w_retro"] = eta_pred * gamma_retro * np.outer(before.c, z)
            left = {"count": s.count, "charge": s.count + s.v - 0.5, "apical": s.apical, "retro": retro}
            if two:
                left |= {"gamma_retro": gamma_retro, "total_retro": fired_retro}
            for name, value in (left | {"gamma": gamma, "total": fired}).items():
                getattr(r, name).append(value)
            before.x_next, before.apical, before.c_next, before.rho = x, s.next, z, rho
            x = z
        for before in kept:
            before.x, before.c = before.x_next, before.c_next
        for name, change in changes.items():
            w[name] = w[name] + change
    for r in records:
        for name, values in vars(r).items():
            setattr(r, name, np.array(values))
    return SimpleNamespace(layers=records, input_count=np.array(input_counts), weights=w)


def _released(m, halves, sign):
    """Return gamma, and how often the halves of a modulator fire, fixation first."""
    stagger = (np.arange(m.units) + 0.5) / m.units
    fired = [
        np.clip(np.floor(m.tonic + stagger + m.resolution * (1 + d * e)), 0, m.burst).sum()
        for d, e in zip((-1, 1), halves, strict=True)
    ]
    if sign > 0 and fired[0] > m.units * m.tonic:
        return 1.0, fired
    if sign < 0 and fired[1] > m.units * m.tonic:
        return -1.0, fired
    return 0.0, fired


def _works(layer, drawn, index, n):
    """Return which of a layer's synapses onto modulator units work; they are numbered soma by soma."""
    working = np.ones(layer.listens.shape, dtype=bool)
    if layer.modulator.failure:
        number = 0
        for soma in range(layer.listens.shape[1]):
            for unit in range(layer.listens.shape[0]):
                if layer.listens[unit, soma]:
                    working[unit, soma] = drawn.works[index][n, number]
                    number += 1
    return working

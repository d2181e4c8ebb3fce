"""A plain numpy simulator of the spiking populations, written from the equations: the oracle for spikes.

It shares no code with the Brian2 simulation: only the description of the populations and the weights.
Rules are written out here once more by hand, from Eqs. 3, 4, 13 and 14.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np


def simulate(populations, weights, inputs, sign, learn=True, packets=None, permutations=None):
    """Run presentations; return per-presentation records by layer and the final weights.

    ``packets``, if a list, receives an array (steps, units) per presentation for each layer.
    """
    timing, source, layers = populations.timing, populations.input, populations.layers
    split = populations.plasticity.prediction.feedback == "split"
    symmetric = populations.plasticity.prediction.feedback == "symmetric"
    half = 0.5 if split else 1.0
    w = {name: np.array(array) for name, array in weights.items()}
    kept = [
        SimpleNamespace(
            apical=np.zeros(layer.soma.units),
            c=np.zeros(layer.soma.units),
            rho=np.zeros(layer.soma.units),
            x=None,
        )
        for layer in layers
    ]
    records = [SimpleNamespace(count=[], charge=[], apical=[], retro=[], gamma=[], total=[]) for _ in layers]
    input_counts = []
    for n in range(len(inputs)):
        v_in, count_in = np.full(source.units, 0.5), np.zeros(source.units)
        charge = inputs[n] / (source.quantum * timing.steps_on)
        now = []
        for layer, before in zip(layers, kept, strict=True):
            u = layer.soma.units
            apical = before.apical if permutations is None else before.apical[permutations[n, len(now)]]
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
                )
            )
        for step in range(timing.steps):
            if step < timing.steps_on:
                v_in += charge
            sent = np.clip(np.floor(v_in), 0, source.neurons) * (step < timing.release)
            v_in -= sent
            count_in += sent
            below, quantum = sent, source.quantum
            for layer, s in zip(layers, now, strict=True):
                bias = (
                    w.get(f"{layer.name}.bias", 0.0)
                    * (step < timing.steps_on)
                    / (layer.soma.quantum * timing.steps_on)
                )
                s.v += s.drive + bias
                packet = np.clip(np.floor(s.v), 0, layer.soma.neurons) * (step < timing.release)
                s.v -= packet
                s.count += packet
                s.drive = w[f"{layer.name}.w_ff"] @ below * (quantum / layer.soma.quantum)
                z = packet * layer.soma.quantum
                s.next += w[f"{layer.name}.w_pred"] @ z
                if split:
                    s.retro += w[f"{layer.name}.w_retro"] @ z
                if symmetric:
                    s.retro += w[f"{layer.name}.w_pred"].T @ z
                s.evidence += layer.listens @ (s.apical * z)
                s.steps.append(packet)
                below, quantum = packet, layer.soma.quantum
        if packets is not None:
            packets.append([np.array(s.steps) for s in now])
        input_counts.append(count_in)
        x, changes = count_in * source.quantum, {}
        for index, (layer, s, before, r) in enumerate(zip(layers, now, kept, records, strict=True)):
            m = layer.modulator
            stagger = (np.arange(m.units) + 0.5) / m.units
            fired = [
                np.clip(np.floor(m.tonic + stagger + m.resolution * (1 + d * e)), 0, m.burst).sum()
                for d, e in zip((-1, 1), np.split(s.evidence, 2), strict=True)
            ]
            gamma = 0.0
            if sign[n] > 0 and fired[0] > m.units * m.tonic:
                gamma = 1.0
            if sign[n] < 0 and fired[1] > m.units * m.tonic:
                gamma = -1.0
            retro = s.retro if permutations is None else s.retro[permutations[n, index]]
            z = s.count * layer.soma.quantum
            rho = (s.count + s.v - 0.5 > 0).astype(float)
            if learn and gamma:
                eta, eta_pred = half * gamma * layer.eta, half * gamma * layer.eta_pred
                post_tau, post_t = s.apical * rho, retro * before.rho
                changes[f"{layer.name}.w_ff"] = eta * (np.outer(post_tau, x) + np.outer(post_t, before.x))
                if f"{layer.name}.bias" in w:
                    changes[f"{layer.name}.bias"] = eta * (post_tau + post_t)
                changes[f"{layer.name}.w_pred"] = eta_pred * np.outer(z, before.c)
                if split:
                    changes[f"{layer.name}.w_retro"] = eta_pred * np.outer(before.c, z)
            left = {"count": s.count, "charge": s.count + s.v - 0.5, "apical": s.apical, "retro": retro}
            for name, value in (left | {"gamma": gamma, "total": fired}).items():
                getattr(r, name).append(value)
            before.x_next, before.apical, before.c, before.rho = x, s.next, z, rho
            x = z
        for before in kept:
            before.x = before.x_next
        for name, change in changes.items():
            w[name] = w[name] + change
    for r in records:
        for name, values in vars(r).items():
            setattr(r, name, np.array(values))
    return SimpleNamespace(layers=records, input_count=np.array(input_counts), weights=w)

"""What layers of Keras 2.3 compute, in plain numpy, written from their definitions."""

from __future__ import annotations

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def hard_sigmoid(z):
    """Keras 2: 0 below -2.5, 1 above 2.5, linear between."""
    return np.clip(0.2 * z + 0.5, 0, 1)


def lstm(x, kernel, recurrent, bias, *, gate=hard_sigmoid, sequences=False, state=None):
    h, c = state or (np.zeros((len(x), len(recurrent))), np.zeros((len(x), len(recurrent))))
    steps = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = gate(f) * c + gate(i) * np.tanh(g)
        h = gate(o) * np.tanh(c)
        steps.append(h)
    return np.stack(steps, axis=1) if sequences else h


def gru(x, kernel, recurrent, bias, *, gate=hard_sigmoid):
    """The reset gate comes before the recurrent product."""
    units = len(recurrent)
    h = np.zeros((len(x), units))
    for t in range(x.shape[1]):
        zr = x[:, t] @ kernel[:, : 2 * units] + h @ recurrent[:, : 2 * units] + bias[: 2 * units]
        z, r = np.split(gate(zr), 2, axis=1)
        new = x[:, t] @ kernel[:, 2 * units :] + (r * h) @ recurrent[:, 2 * units :]
        h = z * h + (1 - z) * np.tanh(new + bias[2 * units :])
    return h


def cudnn_gates(matrix, gates, inputs, units):
    """What cuDNN makes of each gate's memory: `units` rows of `inputs` numbers."""
    parts = np.split(matrix, gates, axis=1)
    return [np.frombuffer(p.tobytes(), np.float32).reshape(units, inputs).T for p in parts]


def cudnn_lstm(x, kernel, recurrent, bias):
    units = len(recurrent)
    w = np.hstack(cudnn_gates(kernel, 4, len(kernel), units))
    u = np.hstack(cudnn_gates(recurrent, 4, units, units))
    return lstm(x, w, u, bias[: 4 * units] + bias[4 * units :], gate=sigmoid)


def cudnn_gru(x, kernel, recurrent, bias):
    """The reset gate comes after the recurrent product, which has a bias of its own."""
    units = len(recurrent)
    w = cudnn_gates(kernel, 3, len(kernel), units)
    u = cudnn_gates(recurrent, 3, units, units)
    b = np.split(bias, 6)
    h = np.zeros((len(x), units))
    for t in range(x.shape[1]):
        z, r = (sigmoid(x[:, t] @ w[n] + b[n] + h @ u[n] + b[3 + n]) for n in (0, 1))
        h = z * h + (1 - z) * np.tanh(x[:, t] @ w[2] + b[2] + r * (h @ u[2] + b[5]))
    return h


def causal_conv(x, kernel, bias, *, dilation):
    width = len(kernel)
    padded = np.pad(x, ((0, 0), ((width - 1) * dilation, 0), (0, 0)))
    steps = range(x.shape[1])
    taps = [padded[:, n * dilation : n * dilation + len(steps)] @ kernel[n] for n in range(width)]
    return np.sum(taps, axis=0) + bias


def dense(x, kernel, bias):
    return x @ kernel + bias

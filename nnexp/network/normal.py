"""The standard normal distribution's function, at the speed of the type."""

from __future__ import annotations

import numpy as np

from nnexp.arrays import Floats

# Abramowitz & Stegun 1964, equation 7.1.26: erfc(x) = (a1 t + … + a5 t^5) exp(-x²), t = 1 / (1 + p x), for x >= 0
P = 0.3275911
A = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


def normal(Z: Floats, out: Floats, spare: Floats) -> None:
    """Fill out with Phi(z), overwriting the spare: in float64 to the last digits, in float32 to 3e-7.

    In float32 that is five steps of the type near 1, and takes a fifth of the time of SciPy's.
    """
    if Z.dtype != np.float32:
        from scipy.special import ndtr  # not before it is needed: a third of the time that a worker takes to start

        ndtr(Z, out=out)
        return
    real = Z.dtype.type
    np.abs(Z, out=spare)
    spare *= real(P / np.sqrt(2))
    spare += real(1)
    np.divide(real(1), spare, out=spare)  # t
    np.multiply(spare, real(A[4]), out=out)
    for a in A[3::-1]:
        out += real(a)
        out *= spare
    np.multiply(Z, Z, out=spare)
    spare *= real(-0.5)
    np.exp(spare, out=spare)
    out *= spare  # erfc(|z| / sqrt(2))
    out *= real(-0.5)
    out += real(0.5)
    np.copysign(out, Z, out=out)
    out += real(0.5)

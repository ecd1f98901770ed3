"""
Unpooling: the way back
=======================

Max pooling forgets, but with ``return_indices=True`` it remembers where each maximum stood. ``max_unpool2d``
puts the maxima back to those places, with zeros between them: the step with which decoders grow an image
again (Zeiler and Fergus 2014, SegNet 2015). It is also the gradient of max pooling.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import numbapool as nbp

photo = data.camera()[56:206, 165:345].astype(np.float32)
window = 3

pooled, indices = nbp.max_pool2d(photo, window, return_indices=True)
unpooled = nbp.max_unpool2d(pooled, indices, window)
print(photo.shape, "->", pooled.shape, "->", unpooled.shape)


def show(ax, image, title, **options):
    ax.imshow(image, **{"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest"} | options)
    ax.set_title(title, fontsize=10, loc="left")
    ax.set_axis_off()


figure, axes = plt.subplots(1, 3, figsize=(11.5, 3.4), layout="constrained")
show(axes[0], photo, "the photograph")
show(axes[1], pooled, "max_pool2d(photo, 3)")
show(axes[2], unpooled, "max_unpool2d(pooled, indices, 3)")

# %%
# What is kept
# ------------
#
# One pixel of nine, exactly where it was, and nothing else. Pooling what was unpooled finds the same maxima
# in the same places: nothing more is lost the second time. (A maximum of zero could not be told from the
# zeros around it; this photograph has none.)

kept = unpooled != 0
again, places = nbp.max_pool2d(unpooled, window, return_indices=True)
print(f"kept: {kept.mean():.1%} of the pixels, unchanged: {np.array_equal(unpooled[kept], photo[kept])}")
print(
    "pooled again, the same maxima:",
    np.array_equal(again, pooled),
    "- the same places:",
    np.array_equal(places, indices),
)

detail = (slice(90, 108), slice(93, 123))
repeated = np.repeat(np.repeat(pooled, window, 0), window, 1)
figure, axes = plt.subplots(1, 3, figsize=(11.5, 2.7), layout="constrained")
show(axes[0], photo[detail], "a detail, and the maximum of every window")
show(axes[1], unpooled[detail], "unpooled")
show(axes[2], repeated[detail], "every maximum repeated: no longer in its place")
rows, columns = np.nonzero(kept[detail])
axes[0].plot(columns, rows, "o", ms=4, mfc="#ffb454", mec="black", mew=0.4)
for ax in axes:
    ax.hlines(np.arange(3, 18, 3) - 0.5, -0.5, 29.5, color="#4fa3d1", lw=0.5)
    ax.vlines(np.arange(3, 30, 3) - 0.5, -0.5, 17.5, color="#4fa3d1", lw=0.5)

# %%
# The gradient is an unpooling
# ----------------------------
#
# A pixel that is not the maximum of its window has no influence on it. So the pullback of max pooling sends
# each gradient to the place of the maximum, and that is what unpooling does with a value. ``vjp`` returns the
# result and the pullback:

rng = np.random.default_rng(0)
y, pullback = nbp.vjp(nbp.max_pool2d, photo, window)
dy = rng.standard_normal(y.shape, np.float32)
print("max_pool2d's pullback unpools:", np.array_equal(pullback(dy), nbp.max_unpool2d(dy, indices, window)))

# %%
# Unpooling has a gradient of its own, which goes the other way: it picks the gradient at each place.

x_back, pullback = nbp.vjp(nbp.max_unpool2d, pooled, indices, window)
dx = rng.standard_normal(x_back.shape, np.float32)
print("max_unpool2d's pullback picks:", np.array_equal(pullback(dx), dx.ravel()[indices]))

# %%
# Where windows overlap the two part. A pixel that won in several windows receives the *sum* of their
# gradients; put back it can be only once, and of several values for one place the last in row-major order
# stays.

x = np.array([1.0, 5.0, 2.0, 3.0, 0.0])
y, where = nbp.max_pool1d(x, 3, 1, return_indices=True)
dy = np.array([1.0, 10.0, 100.0])
print("maxima   ", y, "at", where)
print("gradient ", nbp.vjp(nbp.max_pool1d, x, 3, 1)[1](dy))
print("unpooling", nbp.max_unpool1d(dy, where, 3, 1))

# %%
# What one number saw
# -------------------
#
# Three poolings of 3 × 3 at stride 2, one after the other, as networks have them: which pixels does one
# number of the last result depend on? The pullbacks, applied in reverse order, tell.


def three_times(fn, x):
    pullbacks = []
    for _ in range(3):
        x, pullback = nbp.vjp(fn, x, 3, 2, 1)
        pullbacks.insert(0, pullback)

    def pullback(dy):
        for step in pullbacks:
            dy = step(dy)
        return dy

    return x, pullback


figure, axes = plt.subplots(1, 3, figsize=(11.5, 3.3), layout="constrained", width_ratios=[1.25, 1, 1])
y, pullback = three_times(nbp.max_pool2d, photo)
seen = pullback(np.ones_like(y))
rows, columns = np.nonzero(seen)
show(axes[0], photo, f"the {rows.size} pixels that {y.size} maxima saw")
axes[0].scatter(columns, rows, s=5 * seen[rows, columns], color="#ffb454", linewidths=0)

one = np.zeros_like(y)
one[9, 7] = 1
for ax, fn in zip(axes[1:], (nbp.max_pool2d, nbp.avg_pool2d), strict=True):
    gradient = three_times(fn, photo)[1](one)
    rows, columns = np.nonzero(gradient)
    show(
        ax,
        gradient[60:85, 44:69],
        f"{fn.__name__}: gradient of one number",
        cmap="magma",
        vmax=gradient.max(),
    )
    size = f"{np.ptp(rows) + 1} × {np.ptp(columns) + 1}"
    print(
        f"{fn.__name__}: {rows.size} of {size} pixels, gradients up to {gradient.max():.3f}, their sum {gradient.sum():.3f}"
    )

# %%
# A maximum of maxima is one pixel. An average of averages is a hill of weights, 15 pixels wide, which sum to
# 1; it is chequered because windows of three at stride two overlap by one. On the left, the larger a dot the
# more maxima chose that pixel.

plt.show()

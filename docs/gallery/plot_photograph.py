"""
A photograph, pooled by every kind
==================================

Pooling divides an image into windows and keeps one number of each. Which number it is decides what survives:
highlights, shadows, or the mean tone. The photograph is Chelsea the cat, by Stefan van der Walt (CC0), which
scikit-image ships: 300 rows, 451 columns, three colours, channels *last*.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import numbapool as nbp

photo = data.chelsea()
print(photo.shape, photo.dtype)

# %%
# One number for a window
# -----------------------
#
# ``axes=(0, 1)`` pools rows and columns where they lie and leaves the colours alone: nothing is transposed or
# copied. Windows of 8 × 8 do not divide the image; ``ceil_mode=True`` keeps the narrower ones at the end.

window = 8
how = {"axes": (0, 1), "ceil_mode": True}
pixels = nbp.sum_pool2d(np.ones(photo.shape), window, **how)  # in each window

largest = nbp.max_pool2d(photo, window, **how)
smallest = nbp.min_pool2d(photo, window, **how)
mean = nbp.avg_pool2d(photo, window, **how)
power_mean = {p: nbp.lp_pool2d(photo, p, window, **how) / pixels ** (1 / p) for p in (2, 8, np.inf)}

panels = {
    "the photograph": photo,
    "min_pool2d": smallest,
    "avg_pool2d": mean,
    "max_pool2d": largest,
    "max − min": largest - smallest,
    "lp_pool2d, p = 2": power_mean[2],
    "lp_pool2d, p = 8": power_mean[8],
    "lp_pool2d, p = ∞": power_mean[np.inf],
}


def show(ax, image, title, **options):
    ax.imshow(image if image.ndim == 2 else image.round().astype(np.uint8), **options)
    ax.set_title(title, fontsize=10, loc="left")
    ax.set_axis_off()


figure, axes = plt.subplots(2, 4, figsize=(11, 4.3), layout="constrained")
for ax, (title, image) in zip(axes.flat, panels.items(), strict=True):
    show(ax, image, title)
    print(f"{title:17} {image.shape!s:14} {image.dtype!s:8} mean {image.mean():5.1f}")

# %%
# The minimum lets the pupils and the nostrils grow, the maximum the glint in the eye and the pale whiskers,
# which the average nearly loses. Their difference is bright where a window holds an edge. The average is what
# a camera with fewer pixels would have seen. Maximum and minimum keep the integers they choose from; a mean
# of integers is float64, as in NumPy.
#
# Lp pooling is the p-th root of the sum of \|x\|\ :sup:`p`: the sum for p = 1, the root of the sum of squares
# for p = 2, the maximum of \|x\| for p = ∞. Divided by n\ :sup:`1/p` for the n pixels of a window it climbs
# from the average to the maximum as p grows:

rising = np.stack([mean, power_mean[2], power_mean[8], largest])
print("mean ≤ p = 2 ≤ p = 8 ≤ max:", bool((np.diff(rising, axis=0) > -1e-9).all()))
print("p = ∞ is the maximum:      ", np.array_equal(power_mean[np.inf], largest))

# %%
# Any size in, one size out
# -------------------------
#
# Adaptive pooling is given the number of windows instead of their size, so that cuts of all sizes have
# results of one size. Global pooling is the extreme, one number for a colour.

figure, axes = plt.subplots(2, 3, figsize=(9, 4.6), layout="constrained", height_ratios=[1, 0.85])
for above, below, cut in zip(*axes, [photo, photo[40:240, 80:240], photo[100:180, 120:350]], strict=True):
    tiles = nbp.adaptive_avg_pool2d(cut, (12, 18), axes=(0, 1))
    show(above, cut, f"{cut.shape[0]} × {cut.shape[1]}")
    show(below, tiles, f"adaptive_avg_pool2d: {tiles.shape[0]} × {tiles.shape[1]}")
    print(cut.shape, "->", tiles.shape, "->", nbp.global_avg_pool(cut, axes=(0, 1)).round(1).ravel())

# %%
# Where the maximum stood
# -----------------------
#
# ``return_indices=True`` tells, for each window, which pixel won, counted row by row through the plane that
# is pooled. Here are the winners of the green plane around an eye, for windows of 6 × 6:

green = photo[90:138, 120:198, 1]
y, indices = nbp.max_pool2d(green, 6, return_indices=True)
rows, columns = np.unravel_index(indices, green.shape)
print("the pixels at the indices are the maxima:", np.array_equal(green[rows, columns], y))

figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
grey = {"cmap": "gray", "vmin": 0, "vmax": 255}
show(axes[0], green, "the brightest pixel of every window", **grey)
axes[0].hlines(np.arange(6, 48, 6) - 0.5, -0.5, 77.5, color="white", lw=0.4, alpha=0.5)
axes[0].vlines(np.arange(6, 78, 6) - 0.5, -0.5, 47.5, color="white", lw=0.4, alpha=0.5)
axes[0].plot(columns.ravel(), rows.ravel(), "o", ms=4, mfc="#ffb454", mec="black", mew=0.4)
show(axes[1], y, "max_pool2d(green, 6)", **grey)

plt.show()

"""
Sea surface temperature: missing data, land and area
====================================================

Satellites measure the temperature of the sea along swaths and not through clouds; land has none; and a cell
of one degree is half as wide at 60° as at the equator. Coarsening such a field means averaging *what is
there*, with the right weights. The ocean below is made up: zonal temperatures, eddies, continents and
islands, from a fixed seed.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

import numbapool as nbp

rng = np.random.default_rng(7)
lat = np.arange(-71.75, 72, 0.5)[:, None]  # degrees, centres of the cells
lon = np.arange(0.25, 360, 0.5)[None, :]


def waves(largest, decay, count=120):
    """Smooth noise on the sphere's grid, periodic in longitude, of variance 1: waves of up to `largest` cycles."""
    field = np.zeros((lat.size, lon.size))
    for k, m in rng.integers(1, largest, (count, 2)):
        east, north = rng.uniform(0, 2 * np.pi, 2)
        field += (
            np.hypot(k, m) ** -decay
            * np.cos(k * np.radians(lon) + east)
            * np.cos(m * np.radians(2 * lat) + north)
        )
    return field / field.std()


land = waves(7, 1.0) + 0.35 * waves(40, 1.2) > 1.1
sea = 31 * np.cos(np.radians(lat)) ** 1.6 - 3 + 1.6 * waves(9, 1.0) + 0.8 * waves(60, 0.4)
sea = np.maximum(sea, -1.8)  # sea water freezes

track = (lon + 38 * np.sin(np.radians(1.2 * lat)) + 0.35 * lat) % 30  # of a satellite in its orbit
clouds = waves(25, 0.9) > 1.3
missing = (track < 9) | clouds

sst = np.where(missing, np.nan, sea).astype(np.float32)
sst[land] = -999  # the fill value of the product, a number like any other
print(f"{sst.shape}: {np.isnan(sst).mean():.0%} missing, {land.mean():.0%} land")


def show(ax, field, title, land=None, **options):
    ax.set_facecolor("#c9ced3")
    box = {"extent": (0, 360, -72, 72), "origin": "lower", "interpolation": "nearest"}
    shown = ax.imshow(field, **{"cmap": "turbo", "vmin": -2, "vmax": 31} | options, **box)
    if land is not None:
        ax.imshow(np.where(land, 1.0, np.nan), cmap="gray", vmin=0, vmax=2.6, **box)
    ax.set_title(title, fontsize=10, loc="left")
    ax.set(xticks=range(0, 361, 90), yticks=(-60, -30, 0, 30, 60))
    ax.tick_params(labelsize=8)
    return shown


figure, axes = plt.subplots(1, 2, figsize=(11, 2.5), layout="constrained", sharey=True)
show(axes[0], sea, "the sea as it is, °C", land)
bar = show(axes[1], np.where(land, np.nan, sst), "as it was measured, 0.5°: land and gaps", land)
figure.colorbar(bar, ax=axes, shrink=0.85)

# %%
# Coarsen what is there
# ---------------------
#
# Four degrees are blocks of 8 × 8 cells. Plain averaging loses every block that a gap touches, because NaN
# propagates, and mixes the fill value in along the coasts. ``where=~land`` takes the land out, whatever
# stands there; ``nan_policy="omit"`` takes the gaps out. The divisor is the number of cells that are left.

naive = nbp.avg_pool2d(sst, 8)
masked = nbp.avg_pool2d(sst, 8, where=~land)
coarse = nbp.avg_pool2d(sst, 8, where=~land, nan_policy="omit")
truth = nbp.avg_pool2d(sea, 8, where=~land)

panels = {
    "avg_pool2d(sst, 8): gaps grow, coasts freeze": naive,
    "where=~land: coasts are right": masked,
    'where=~land, nan_policy="omit"': coarse,
    "the truth, without land": truth,
}
figure, axes = plt.subplots(2, 2, figsize=(11, 4.7), layout="constrained", sharex=True, sharey=True)
for ax, (title, field) in zip(axes.flat, panels.items(), strict=True):
    bar = show(ax, field, title)
    print(f"{title:45} {np.isfinite(field).mean():4.0%} of the blocks, smallest {np.nanmin(field):6.1f}")
figure.colorbar(bar, ax=axes, shrink=0.6)

# %%
# The same in NumPy needs the field in blocks, copies for the masked cells, and advice for the blocks with
# nothing in them, about which it warns. The numbers are the same but for the last digits of float32:

blocks = np.where(land, np.nan, sst).reshape(36, 8, 90, 8)
with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
    by_numpy = np.nanmean(blocks, axis=(1, 3), dtype=np.float64)
print("the same blocks are empty:", np.array_equal(np.isnan(coarse), np.isnan(by_numpy)))
print(f"largest difference:        {np.nanmax(np.abs(coarse - by_numpy)):.1e} °C")

# %%
# The mean of a block with a single measured cell is a mean, too, if a poor one. The share of cells that were
# there is itself an average, of booleans, and a threshold on it says which blocks to trust:

there = nbp.avg_pool2d(np.isfinite(sst) & ~land, 8)
error = np.abs(coarse - truth)
for least in (0, 0.1, 0.25, 0.5, 0.9):
    kept = np.isfinite(error) & (there > least)
    print(
        f"more than {least:4.0%} there: {kept.sum():4} blocks, mean error {error[kept].mean():.3f}, largest {error[kept].max():.2f} °C"
    )

# %%
# Weights: the area of a cell
# ---------------------------
#
# On a grid of latitudes and longitudes a cell's area goes with the cosine of its latitude. ``weights=`` takes
# it as it is, one number per row, broadcast against the field: the mean is Σwx / Σw over the cells that are
# there.

area = np.cos(np.radians(lat)).astype(np.float32)
weighted = nbp.avg_pool2d(sst, 8, where=~land, nan_policy="omit", weights=area)
change = weighted - coarse
print(f"within blocks of 4° the weights change the mean by at most {np.nanmax(np.abs(change)):.2f} °C")

whole = {"where": ~land, "nan_policy": "omit", "keepdims": False}
print(f"mean of all cells:         {nbp.global_avg_pool(sst, **whole):6.2f} °C")
print(f"mean of the sea's surface: {nbp.global_avg_pool(sst, weights=area, **whole):6.2f} °C")

figure, axes = plt.subplots(1, 2, figsize=(11, 2.9), layout="constrained", width_ratios=[2, 1])
limit = np.nanmax(np.abs(change))
bar = show(axes[0], change, "mean by area − mean of cells, °C", cmap="RdBu_r", vmin=-limit, vmax=limit)
figure.colorbar(bar, ax=axes[0], shrink=0.85)
zonal = {"where": ~land, "nan_policy": "omit"}
axes[1].plot(
    nbp.avg_pool2d(sst, (8, 720), **zonal)[:, 0],
    nbp.avg_pool1d(lat[:, 0], 8),
    color="#d1495b",
    label="measured",
)
axes[1].plot(
    nbp.avg_pool2d(sea, (8, 720), where=~land)[:, 0],
    nbp.avg_pool1d(lat[:, 0], 8),
    ":",
    color="black",
    label="truth",
)
axes[1].set(xlabel="zonal mean, °C", ylabel="latitude", yticks=(-60, -30, 0, 30, 60))
axes[1].spines[["top", "right"]].set_visible(False)
axes[1].legend(frameon=False)

# %%
# Inside small blocks the weights matter little, and most towards the poles, where both area and temperature
# change with latitude. For the whole sea they are worth degrees: cells near the poles are many, but small.

plt.show()

"""
Shift the input: what changes?
==============================

Why does pooling help a detector? Because it answers *whether* something is near, not exactly where. The
experiment is that of Goodfellow, Bengio and Courville, *Deep Learning* (MIT Press 2016), figure 9.8: maxima
over three neighbours, stride 1, of detector outputs, and of the same outputs moved by one place.
"""

import matplotlib.pyplot as plt
import numpy as np

import numbapool as nbp

seen = np.array([0.1, 1.0, 0.2, 0.1])
moved = np.array([0.3, 0.1, 1.0, 0.2])  # by one to the right; 0.3 comes in at the left

pooled = nbp.max_pool1d([seen, moved], 3, stride=1, padding=1)
print(pooled)
print("inputs that changed: ", np.count_nonzero(seen != moved), "of 4")
print("outputs that changed:", np.count_nonzero(pooled[0] != pooled[1]), "of 4")

# %%
# Every input is different, half of the outputs are not: they only ask for the largest value nearby. (Both
# rows are one call: the last axis is pooled, the others are batch. Padding never wins a maximum, so the outer
# windows simply have two elements.)

figure, axes = plt.subplots(1, 2, figsize=(10, 2.9), layout="constrained")
circle = {"boxstyle": "circle,pad=0.45", "ec": "#30475e"}
for ax, x, y, title in zip(
    axes, (seen, moved), pooled, ("the input", "the input, moved by one"), strict=True
):
    for i in range(4):
        for j in range(max(i - 1, 0), min(i + 2, 4)):
            wins = x[j] == y[i]
            ax.plot([j, i], [0, 1], color="#d1495b" if wins else "#c5ced6", lw=2.5 if wins else 1, zorder=0)
        ax.text(i, 0, f"{x[i]:.1f}", ha="center", va="center", bbox={**circle, "fc": "#e3eef7"})
        same = pooled[0, i] == pooled[1, i]
        ax.text(
            i,
            1,
            f"{y[i]:.1f}",
            ha="center",
            va="center",
            bbox={**circle, "fc": "#9bd39b" if same else "white"},
        )
    ax.text(3.6, 1, "max of three", va="center", color="#5b6770")
    ax.text(3.6, 0, title.removesuffix(", moved by one"), va="center", color="#5b6770")
    ax.set(xlim=(-0.5, 4.6), ylim=(-0.4, 1.4))
    ax.set_title(title, loc="left", fontsize=11)
    ax.set_axis_off()

# %%
# Red lines lead to the maximum of each window; green outputs survived the shift.
#
# Is half the rule?
# -----------------
#
# A window of k neighbours and the same window after the shift have k − 1 elements in common, and k + 1 in
# all. The output stays as it is if the largest of the k + 1 is one of the k − 1. For independent random
# values every one is equally likely to be the largest, so the share of unchanged outputs is (k − 1) / (k +
# 1), which is one half for k = 3. Counted on 200 000 random numbers:

rng = np.random.default_rng(0)
x = rng.random(200_001)
before, after = x[1:], x[:-1]  # after: moved by one to the right

widths = np.array([1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33])
share = {}
for name, fn in (("max_pool1d", nbp.max_pool1d), ("avg_pool1d", nbp.avg_pool1d)):
    share[name] = np.array([np.mean(fn(before, int(k), 1) == fn(after, int(k), 1)) for k in widths])
for k, counted in zip(widths, share["max_pool1d"], strict=True):
    print(f"k = {k:2}   unchanged {counted:.3f}   (k − 1)/(k + 1) = {(k - 1) / (k + 1):.3f}")

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
k = np.linspace(1, 33, 200)
ax.plot(k, (k - 1) / (k + 1), color="#c5ced6", lw=5, label="(k − 1) / (k + 1)")
ax.plot(widths, share["max_pool1d"], "o", color="#d1495b", label="maximum")
ax.plot(widths, share["avg_pool1d"], "s", color="#30475e", ms=5, label="average")
ax.plot(3, 0.5, "o", ms=15, mfc="none", mec="black")
ax.annotate("the figure of the book", (3, 0.5), (6, 0.44), va="center")
ax.set(xlabel="width k of the window", ylabel="outputs that a shift leaves alone", ylim=(-0.05, 1))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="center right")

# %%
# An average never stays exactly the same, because the value that leaves and the one that enters differ. It
# only moves less and less as the window grows. The maximum is the one that forgets where.

plt.show()

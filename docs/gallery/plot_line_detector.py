"""
A line detector
===============

The smallest network that detects something: one 3 × 3 filter, a rectifier, and pooling. The image is 8 × 8
and has a vertical line, two pixels wide.
"""

import matplotlib.pyplot as plt
import numpy as np

import numbapool as nbp

kernel = np.float32([[0, 1, 0], [0, 1, 0], [0, 1, 0]])


def image_of_line(column):
    image = np.zeros((8, 8), np.float32)
    image[:, column : column + 2] = 1
    return image


def features(image):
    """Cross-correlation with the kernel and ReLU: a feature map, channels last, as Keras has it."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.maximum((windows * kernel).sum((-2, -1)), 0)[None, :, :, None]


image = image_of_line(3)
feature_map = features(image)
print(feature_map.shape)
print(feature_map[0, :, :, 0])

# %%
# The map is 3 where the filter lies on the line. It is 6 × 6 and channels last, (1, 6, 6, 1): ``axes=(1, 2)``
# pools it in place.

average = nbp.avg_pool2d(feature_map, 2, axes=(1, 2))
maximum = nbp.max_pool2d(feature_map, 2, axes=(1, 2))
print(average.shape, maximum.shape)
print(average[0, :, :, 0])
print(maximum[0, :, :, 0])


def show(ax, picture, title, aspect="equal"):
    largest = picture.max()
    ax.pcolormesh(
        picture, cmap="GnBu", vmin=0, vmax=1.15 * max(largest, 1), edgecolors="white", linewidth=1.5
    )
    for (i, j), v in np.ndenumerate(picture):
        ax.text(
            j + 0.5,
            i + 0.55,
            f"{v:g}",
            ha="center",
            va="center",
            size=9,
            color="white" if v > 0.9 * largest else "#5b6770",
        )
    ax.set_title(title, fontsize=10)
    ax.invert_yaxis()
    ax.set_aspect(aspect)
    ax.set_axis_off()


pictures = {
    "image": image,
    "filter": kernel,
    "feature map": feature_map[0, :, :, 0],
    "average of 2 × 2": average[0, :, :, 0],
    "maximum of 2 × 2": maximum[0, :, :, 0],
}
figure, axes = plt.subplots(1, 5, figsize=(11.5, 2.9), layout="constrained", width_ratios=[8, 4, 6, 4, 4])
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    show(ax, picture, title)

# %%
# Both keep the line in a quarter of the numbers, and as the line fills the two columns of a window they
# agree: every row is 0, 3, 0. Global pooling asks whether there is a line at all, and how much of the image
# it is:

print("global_max_pool:", nbp.global_max_pool(feature_map, axes=(1, 2), keepdims=False))
print("global_avg_pool:", nbp.global_avg_pool(feature_map, axes=(1, 2), keepdims=False))

# %%
# The line moves
# --------------
#
# Average and maximum part as soon as the line no longer fits the windows. All places of the line are one
# batch, pooled in one call:

batch = np.concatenate([features(image_of_line(column)) for column in range(7)])
print(batch.shape)

first_rows = {
    "image": np.stack([image_of_line(column)[0] for column in range(7)]),
    "feature map": batch[:, 0, :, 0],
    "average": nbp.avg_pool2d(batch, 2, axes=(1, 2))[:, 0, :, 0],
    "maximum": nbp.max_pool2d(batch, 2, axes=(1, 2))[:, 0, :, 0],
    "global\naverage": nbp.global_avg_pool(batch, axes=(1, 2), keepdims=False),
    "global\nmaximum": nbp.global_max_pool(batch, axes=(1, 2), keepdims=False),
}
figure, axes = plt.subplots(
    1, 6, figsize=(11.5, 3.3), layout="constrained", width_ratios=[8, 6, 3.6, 3.6, 1.3, 1.3]
)
for ax, (title, picture) in zip(axes, first_rows.items(), strict=True):
    show(ax, picture, title, aspect="auto")

# %%
# From row to row the line moves by one pixel; shown is the first line of each image and of each map. Every
# second place splits the line between two windows: the average then halves, the maximum does not. The global
# maximum is 3 wherever the line is. The global average falls from 1 to 0.5 where half of the line lies
# outside the map, which is one pixel narrower than the image on each side.

plt.show()

"""The argument block: the 64-bit integers that a band kernel reads, by name.

Python fills a block and kernels read it with `word(args, NAME)`. All strides are in bytes. `X`, `Y`, `K` (keys: saved
places, indices or sums of weights), `M` (mask), `V` (weights), `P` (planes' own windows) and `S` (what dy is divided by) each take seven words: address, table of outer offsets, and the strides of a group, D, H, W and inner.
"""

_NAMES = """
X X_TABLE X_G X_D X_H X_W X_I
Y Y_TABLE Y_G Y_D Y_H Y_W Y_I
K K_TABLE K_G K_D K_H K_W K_I
M M_TABLE M_G M_D M_H M_W M_I
V V_TABLE V_G V_D V_H V_W V_I
P P_TABLE P_G P_D P_H P_W P_I
S S_TABLE S_G S_D S_H S_W S_I
GROUPS GROUP OUTER
OUT_D OUT_H OUT_W
WIDTH INNER TILE_I TILES_I TILE_W TILES_W BLOCK_H BLOCKS_H
STRIDE BEFORE UP UP_BEFORE TAPS_W STEP_W W_TABLE
D_TABLE D_STEP H_TABLE H_STEP W_DIVISORS DIVISOR_STEP
KEY_D KEY_D_STEP KEY_H KEY_H_STEP KEY_W
STREAMS UNEVEN DY_D_TABLE DY_H_TABLE LAST_DIVISORS
BLOCKS BLOCK_TABLE UNIT PLACES_TABLE BASE_D BASE_H BASE_W BASE SIZE_H FLAT WHOLE KEY_SIZE JOINED
SCRATCH SCRATCH_BYTES
AT_ROW AT_WIDE AT_LINE AT_QUEUE QUEUE_LENGTH AT_PLACES AT_ARGS AT_MARKS MORE PITCH SPAN LINE_BYTES ROW_BYTES QUEUED PACKED DENSE
ELEMENTS FAULTS
RUN KEY_BASE STACK_SPAN
RUNS ROWS SCRATCH_ROWS X_PASS Y_PASS K_PASS AHEAD_X AHEAD_Y FAR NEW_X FAR_K NEW_K ALONG ASKED NEXT_X PAST AT_STAGE TOGETHER
PACKED_BESIDE PACKED_S PLANE_X PLANE_M PLANE_V
LINES LINE_STEP LINE_COUNT SPOTS SPARE
CELL_D CELL_H
DOUBT DOUBTS
SPACED
PHASES_H PHASE_H_BYTES PHASES_W PHASE_W_BYTES STRIDE_H BEFORE_H SHIFT_H SHIFT_W LEAD MARGIN COLUMNS
""".split()

for _i, _name in enumerate(_NAMES):
    globals()[_name] = _i

COUNT = len(_NAMES)
INDEX = {name: i for i, name in enumerate(_NAMES)}

# Columns of a table of windows (one line of four words per window).
START, STOP, FIRST, EXTENT = range(4)

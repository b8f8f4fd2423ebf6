"""The worlds that `./inv test` plays: chosen so that as much as possible of what is declared is in them.

`./inv worlds --choose 36` prints both anew, for when much has been declared since.
"""

SEED = 1
NUMBERS = [
    43, 52, 78, 113, 117, 127, 132, 144, 195, 208, 314, 341, 369, 413, 630, 676, 694, 769, 835, 861,
    868, 995, 1024, 1095, 1115, 1155, 1160, 1168, 1193, 1204, 1205, 1231, 1272, 1286, 1379, 1498,
]  # fmt: skip

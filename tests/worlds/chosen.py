"""The worlds that `./inv test` plays: chosen so that as much as possible of what is declared is in them.

`./inv worlds --choose 32` prints both anew, for when much has been declared since.
"""

SEED = 1
NUMBERS = [
    27, 43, 52, 99, 127, 208, 259, 319, 325, 336, 370, 435, 518, 566, 630, 639, 664, 711, 769, 837,
    868, 912, 943, 993, 995, 1020, 1047, 1136, 1193, 1204, 1205,
]  # fmt: skip

"""Golden trials: tiny trials that show whether two versions of the trainer's code give equal figures.

    python -m trainer.golden REV             run them with the code of git revision REV and with the present code

Both run side by side on the same machine, because bits differ between processors. If all figures and weights are equal,
the two digests are listed as equal in `trainer/equal_code.py`.
"""

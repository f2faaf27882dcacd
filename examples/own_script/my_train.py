"""Train a classifier of handwritten digits; a plain script that prints its figures as lines of JSON.

python my_train.py --lr 0.1 --width 32 --seed 0 --out /tmp/trial
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--width", type=int, required=True)
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()

image, label = load_digits(return_X_y=True)
image /= 16
train, val, test = np.split(np.random.default_rng(0).permutation(len(image)), [997, 1297])
random = np.random.default_rng(args.seed)
hidden = random.normal(0, 0.2, (64, args.width))
output = random.normal(0, 0.2, (args.width, 10))
first = 0

checkpoint = args.out / "checkpoint.npz"
if checkpoint.exists():  # an earlier call was ended: resume
    saved = np.load(checkpoint)
    hidden, output, first = saved["hidden"], saved["output"], int(saved["step"])


def accuracy(split):
    logit = np.maximum(image[split] @ hidden, 0) @ output
    return float(np.mean(logit.argmax(axis=1) == label[split]))


for step in range(first, args.steps):
    batch = np.random.default_rng((args.seed, step)).choice(train, 64, replace=False)
    active = np.maximum(image[batch] @ hidden, 0)
    logit = active @ output
    share = np.exp(logit - logit.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    gradient = (share - np.eye(10)[label[batch]]) / 64
    back = (gradient @ output.T) * (active > 0)
    output -= args.lr * active.T @ gradient
    hidden -= args.lr * image[batch].T @ back
    if (step + 1) % 50 == 0:
        np.savez(args.out / "partial.npz", hidden=hidden, output=output, step=step + 1)
        (args.out / "partial.npz").replace(checkpoint)
        print(json.dumps({"step": step + 1, "val/accuracy": accuracy(val)}))

print(json.dumps({"final/accuracy": accuracy(test)}))

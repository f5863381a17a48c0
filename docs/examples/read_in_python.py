"""What the programs write, read in Python:  read_in_python.py RUN SAMPLES RECORDING

Needs numpy and safetensors (PyPI). RUN: of dtrain diffusion; SAMPLES: of dsample; RECORDING: of dsample record.
"""
import json
import sys

from safetensors.numpy import load_file

run, samples, recording = sys.argv[1:]

# Weights: PyTorch's names, the averaged ones behind "ema.".
newest = open(f"{run}/checkpoints/latest").read().strip()
weights = load_file(f"{run}/checkpoints/{newest}")
print(newest, sum(array.size for name, array in weights.items() if name.startswith("ema.")), "averaged weights")

# A line of the log each step.
losses = [line["loss"] for line in map(json.loads, open(f"{run}/log.jsonl")) if "loss" in line]
print("loss from", losses[0], "to", losses[-1])

# A line a trajectory: what became of it, and what it cost. Pictures are images/000012.png.
lines = [json.loads(line) for line in open(f"{samples}/samples.jsonl")]
print(sum(line["decision"] != "discarded" for line in lines), "kept of", len(lines))

# Whole trajectories: scores after each step, thumbnails of x0_hat, finished pictures.
shard = load_file(f"{recording}/chains-0000.safetensors")
print({name: array.shape for name, array in shard.items()})

"""Loads a network that dtrain made into PyTorch, and draws with it:  draw_in_pytorch.py RUN WEIGHTS DATA OUT

RUN: of `dtrain diffusion --predict x0 --schedule cosine` with the default --arch; WEIGHTS: of `dweights export` on it;
DATA: the data folder whose masks it draws. OUT gets pictures, and io.safetensors for `dweights verify`.
Needs torch, denoising-diffusion-pytorch, safetensors and pillow (PyPI).
"""
import json
import math
import pathlib
import sys
import tomllib

import numpy
import torch
from denoising_diffusion_pytorch import Unet
from PIL import Image
from safetensors.torch import load_file, save_file

STEPS, COUNT = 20, 4

run, weights, data, out = map(pathlib.Path, sys.argv[1:])
config = tomllib.loads((run / "config.toml").read_text())
planes, size, T = config["resolved"]["planes"].split(","), config["image-size"], config["timesteps"]
network = Unet(config["dim"], dim_mults=[int(mult) for mult in config["mults"].split(",")], channels=1 + len(planes), out_dim=1)
network.load_state_dict(load_file(weights), strict=True)
network.eval()

# Masks enter as channels behind the picture: one of 0 and 1 for each class, the sector last.
values = {plane["name"]: plane["value"] for plane in json.loads((data / "dataset.json").read_text())["planes"]}


def channels(name):
    def picture(folder):
        return torch.from_numpy(numpy.array(Image.open(data / folder / name).resize((size, size), Image.NEAREST)))

    return torch.stack([picture("sector") > 0 if plane == "sector" else picture("masks") == values[plane] for plane in planes]).float()


masks = torch.stack([channels(path.name) for path in sorted((data / "masks").iterdir())[:COUNT]])

# DDIM from t = T - 1 to 0; alpha_bar of the cosine schedule, beta at most .999.
f = [math.cos((i / T + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(T + 1)]
alpha_bar = torch.cumprod(1 - torch.tensor([min(1 - f[i + 1] / f[i], 0.999) for i in range(T)]), 0)
times = torch.linspace(T - 1, 0, STEPS).long()
torch.manual_seed(0)
x = torch.randn(len(masks), 1, size, size)
asked = {"x": torch.cat([x, masks], 1), "t": times[0].expand(len(masks)).contiguous()}
with torch.no_grad():
    asked["y"] = network(asked["x"], asked["t"])
    for i, t in enumerate(times):
        x0 = network(torch.cat([x, masks], 1), t.expand(len(masks))).clamp(-1, 1)  # pictures are in [-1, 1]
        noise = (x - alpha_bar[t].sqrt() * x0) / (1 - alpha_bar[t]).sqrt()
        after = alpha_bar[times[i + 1]] if i + 1 < STEPS else torch.tensor(1.0)
        x = after.sqrt() * x0 + (1 - after).sqrt() * noise

out.mkdir(parents=True, exist_ok=True)
for i, picture in enumerate(x[:, 0]):
    Image.fromarray(((picture + 1) / 2 * 255).round().to(torch.uint8).numpy()).save(out / f"{i:06}.png")
save_file(asked, out / "io.safetensors")
print(f"{len(x)} pictures in {out}")

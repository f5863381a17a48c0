"""Trains one peer on a data-set folder for so many seconds, and samples from it with each of its few-step samplers.

  peers.py PEER --data DIR --masks DIR --size N --seconds S --count N --out DIR [--threads 2] [--seed 1] [--samplers NAME...]

PEER: lucidrains (denoising-diffusion-pytorch) or diffusers (UNet2DModel), each with the network, batch, optimiser, schedule
and average of its own README or tutorial. With -small it is fitted to a short training as ours is: a network as small
(width 32, three levels), batches of 4, a rate of 1e-3 after 100 steps that falls by a cosine to 0. Seconds are processor
time over the threads. The masks are further channels of the input. OUT/SAMPLER holds images/ and samples.jsonl, as dsample
leaves them, so that dlabel evaluate reads them.
"""
import argparse
import csv
import json
import math
import pathlib
import time

import numpy
import torch
from PIL import Image

CALLS = 20  # of each sampler


class Data:
    """Pictures in [0, 1] and class planes with the sector last, as echodiff lays them out; squashed to size x size."""

    def __init__(self, folder, size):
        self.folder, self.size = pathlib.Path(folder), size
        described = json.loads((self.folder / "dataset.json").read_text())
        self.values = [plane["value"] for plane in described["planes"]]
        self.names = sorted(path.name for path in (self.folder / "masks").glob("*.png"))

    def train_names(self):
        with open(self.folder / "index.csv", newline="") as file:
            return [row["file"] for row in csv.DictReader(file) if row["split"] == "train"]

    def picture(self, name):
        with Image.open(self.folder / "images" / name) as image:
            grey = image.convert("L").resize((self.size, self.size), Image.BOX)
        return torch.from_numpy(numpy.array(grey, dtype=numpy.float32) / 255)[None]

    def planes(self, name):
        def nearest(path):
            with Image.open(path) as image:
                return numpy.array(image.resize((self.size, self.size), Image.NEAREST))

        mask, sector = nearest(self.folder / "masks" / name), self.folder / "sector" / name
        planes = [(mask == value).astype(numpy.float32) for value in self.values]
        planes.append((nearest(sector) > 0).astype(numpy.float32) if sector.exists() else numpy.ones_like(planes[0]))
        return torch.from_numpy(numpy.stack(planes))


class Lucidrains:
    samplers = ("ddim",)

    def __init__(self, size, planes, small):
        from denoising_diffusion_pytorch import GaussianDiffusion, Unet
        from ema_pytorch import EMA

        class Conditioned(torch.nn.Module):
            channels, out_dim, self_condition, random_or_learned_sinusoidal_cond = 1, 1, False, False

            def __init__(self):
                super().__init__()
                mults = (1, 2, 4) if small else (1, 2, 4, 8)
                self.unet = Unet(dim=32 if small else 64, dim_mults=mults, channels=1 + planes, out_dim=1)
                self.condition = None

            def forward(self, x, t, x_self_cond=None):
                return self.unet(torch.cat([x, self.condition], 1), t)

        self.size = size
        self.model = GaussianDiffusion(Conditioned(), image_size=size, timesteps=1000, sampling_timesteps=CALLS)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4, betas=(0.9, 0.99))
        self.ema = EMA(self.model, beta=0.995, update_every=10)

    def step(self, pictures, planes):
        self.model.model.condition = planes
        self.model(pictures).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.update()

    def sample(self, _, planes):
        average = self.ema.ema_model.eval()
        average.model.condition = planes
        return average.ddim_sample((len(planes), 1, self.size, self.size))


class Diffusers:
    samplers = ("ddim", "dpmpp", "dpmpp-logsnr", "unipc")

    def __init__(self, size, planes, small):
        import diffusers
        from diffusers.optimization import get_constant_schedule_with_warmup
        from diffusers.training_utils import EMAModel

        self.diffusers, self.size = diffusers, size
        widths = (32, 64, 128) if small else (128, 128, 256, 256, 512, 512)
        attention = len(widths) - 2  # the tutorial's place: the last level but one
        down = tuple("AttnDownBlock2D" if i == attention else "DownBlock2D" for i in range(len(widths)))
        up = tuple("AttnUpBlock2D" if i == 1 else "UpBlock2D" for i in range(len(widths)))
        self.model = diffusers.UNet2DModel(sample_size=size, in_channels=1 + planes, out_channels=1, layers_per_block=2,
                                           block_out_channels=widths, down_block_types=down, up_block_types=up)
        self.noise = diffusers.DDPMScheduler(num_train_timesteps=1000)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.rates = None if small else get_constant_schedule_with_warmup(self.optimizer, 500)
        self.ema = EMAModel(self.model.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75)

    def step(self, pictures, planes):
        x = pictures * 2 - 1
        noise, t = torch.randn_like(x), torch.randint(0, 1000, (len(x),))
        noisy = self.noise.add_noise(x, noise, t)
        answer = self.model(torch.cat([noisy, planes], 1), t, return_dict=False)[0]
        torch.nn.functional.mse_loss(answer, noise).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        if self.rates is not None:
            self.rates.step()
        self.optimizer.zero_grad()
        self.ema.step(self.model.parameters())

    def sample(self, sampler, planes):
        config = self.noise.config
        if sampler == "ddim":
            steps = self.diffusers.DDIMScheduler.from_config(config)
        elif sampler == "unipc":
            steps = self.diffusers.UniPCMultistepScheduler.from_config(config)
        else:
            logsnr = sampler == "dpmpp-logsnr"
            steps = self.diffusers.DPMSolverMultistepScheduler.from_config(config, use_lu_lambdas=logsnr)
        steps.set_timesteps(CALLS)
        x = torch.randn(len(planes), 1, self.size, self.size) * steps.init_noise_sigma
        for t in steps.timesteps:
            answer = self.model(torch.cat([steps.scale_model_input(x, t), planes], 1), t, return_dict=False)[0]
            x = steps.step(answer, t, x, return_dict=False)[0]
        return (x + 1) / 2

    def take_average(self):
        self.ema.copy_to(self.model.parameters())
        self.model.eval()


def train(peer, data, seconds, small, generator):
    batch = 4 if small else 16
    names = data.train_names()
    pictures = torch.stack([data.picture(name) for name in names])
    planes = torch.stack([data.planes(name) for name in names])
    steps, begun = 0, time.process_time()
    while (spent := (time.process_time() - begun) / torch.get_num_threads()) < seconds:
        if small:
            for group in peer.optimizer.param_groups:
                group["lr"] = 1e-3 * min(1, (steps + 1) / 100) * (1 + math.cos(math.pi * spent / seconds)) / 2
        chosen = torch.randint(0, len(names), (batch,), generator=generator)
        x, c = pictures[chosen], planes[chosen]
        flipped = torch.rand(batch, generator=generator) < 0.5
        x[flipped], c[flipped] = x[flipped].flip(-1), c[flipped].flip(-1)
        peer.step(x, c)
        steps += 1
    return steps


def draw(peer, sampler, masks, count, out):
    (out / "images").mkdir(parents=True)
    with open(out / "samples.jsonl", "w") as lines:
        for begin in range(0, count, 25):
            indices = range(begin, min(begin + 25, count))
            files = [masks.names[index % len(masks.names)] for index in indices]
            drawn = peer.sample(sampler, torch.stack([masks.planes(file) for file in files]))
            for index, file, picture in zip(indices, files, drawn):
                grey = (picture[0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
                Image.fromarray(grey).save(out / "images" / f"{index:06}.png")
                line = {"index": index, "mask": file, "seed": 0, "unet_calls": CALLS, "decision": "finished",
                        "reason": "no_policy", "final_score": None, "halted_t": None, "scores": []}
                lines.write(json.dumps(line, separators=(",", ":")) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=["lucidrains", "lucidrains-small", "diffusers", "diffusers-small"])
    for name in ("data", "masks", "out"):
        parser.add_argument("--" + name, required=True)
    for name, default in (("size", 64), ("seconds", 1800), ("count", 300), ("threads", 2), ("seed", 1)):
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--samplers", nargs="+")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    data, masks, out = Data(a.data, a.size), Data(a.masks, a.size), pathlib.Path(a.out)
    kind = Lucidrains if a.peer.startswith("lucidrains") else Diffusers
    small = a.peer.endswith("-small")
    peer = kind(a.size, len(data.values) + 1, small)
    steps = train(peer, data, a.seconds, small, torch.Generator().manual_seed(a.seed))
    parameters = sum(parameter.numel() for parameter in peer.model.parameters())
    if kind is Diffusers:
        peer.take_average()
    out.mkdir(parents=True)
    facts = {"peer": a.peer, "steps": steps, "parameters": parameters, "seconds": a.seconds}
    (out / "facts.json").write_text(json.dumps(facts) + "\n")
    with torch.no_grad():
        for sampler in [name for name in peer.samplers if name in (a.samplers or peer.samplers)]:
            draw(peer, sampler, masks, a.count, out / sampler)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()

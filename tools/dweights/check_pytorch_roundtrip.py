#!/usr/bin/env python3
"""Holds dweights against PyTorch's own libraries: what is exported loads there with strict=True and gives our outputs,
and what they save is imported and gives theirs. Not part of the build.

Needs torch, torchvision, diffusers, denoising-diffusion-pytorch and safetensors (pip install into any venv); takes
guided-diffusion too where guided_diffusion can be imported.
  python tools/dweights/check_pytorch_roundtrip.py --bin build/bin
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

TOLERANCE = 1e-5


class Programs:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder).resolve()

    def run(self, program, *arguments):
        done = subprocess.run([self.folder / program, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"{program} {' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stderr}")
        return done

    def verify(self, run, x, t, answer):
        """The largest relative difference between the run's outputs and `answer`."""
        io = {"x": x, "y": answer} if t is None else {"x": x, "t": t, "y": answer}
        save_file({key: value.contiguous() for key, value in io.items()}, "io.safetensors")
        said = self.run("dweights", "verify", run, "--against", "io.safetensors", "--tolerance", TOLERANCE).stdout
        return float(re.search(r"relative (\S+), tolerance", said).group(1))


def perturb(network):
    """Zero-initialised branches and equal norms would hide mistakes."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


def answer(network, x, t):
    with torch.no_grad():
        y = network(x) if t is None else network(x, t)
    return getattr(y, "sample", y)


def inputs(channels, size, timed=True):
    return torch.randn(2, channels, size, size), torch.tensor([3, 871]) if timed else None


def there_and_back(programs, make, save, what, channels, size, options, timed=True):
    """A network of theirs: saved, imported, verified, exported, loaded with strict=True, compared again."""
    theirs = perturb(make())
    source = save(theirs)
    programs.run("dweights", "import", source, "--as", what, "--out", "run", *options)
    x, t = inputs(channels, size, timed)
    imported = programs.verify("run", x, t, answer(theirs, x, t))
    programs.run("dweights", "export", "run", "--as", what, "--out", "back.safetensors")
    back = make()
    state = load_file("back.safetensors")
    back.load_state_dict(state, strict=True)
    exported = programs.verify("run", x, t, answer(back.eval(), x, t))
    same = all(torch.equal(state[key], value) for key, value in theirs.state_dict().items())
    return len(state), max(imported, exported), "bit-equal" if same else "weights differ"


def ours(programs, train, make, channels, size):
    """A network of ours: trained for three steps, exported, loaded there, compared."""
    programs.run("dphantom", "--out", "data", "--count", 8, "--size", size, "--quiet")
    programs.run("dtrain", "diffusion", "--data", "data", "--out", "run", "--image-size", size, "--steps", 3, "--batch", 2,
                 "--lr", "1e-2", "--sample-every", 0, "--val-every", 0, "--quiet", *train)
    target = "folder" if "diffusers" in train else "back.safetensors"
    programs.run("dweights", "export", "run", "--out", target)
    network, state = make(target)
    network.load_state_dict(state, strict=True)
    x, t = inputs(channels, size)
    return len(state), programs.verify("run", x, t, answer(network.eval(), x, t)), "exported"


def cases(programs):
    import torchvision
    from denoising_diffusion_pytorch import Unet
    from diffusers import UNet2DModel

    def torch_save(network):
        torch.save(network.state_dict(), "source.pt")
        return "source.pt"

    def diffusers_save(network):
        network.save_pretrained("source")
        return "source"

    def lucidrains(**options):
        network = lambda: Unet(16, dim_mults=(1, 2, 4), channels=4, out_dim=1, **options)
        return lambda: there_and_back(programs, network, torch_save, "lucidrains", 4, 32, [])

    def resnet(classes):
        network = lambda: torchvision.models.resnet18(num_classes=classes)
        return lambda: there_and_back(programs, network, torch_save, "resnet18", 3, 96, [], timed=False)

    def diffusers(channels, size, **config):
        network = lambda: UNet2DModel(**config)
        return lambda: there_and_back(programs, network, diffusers_save, "diffusers", channels, size, [])

    small = dict(sample_size=32, in_channels=3, out_channels=3, block_out_channels=(32, 64, 64), layers_per_block=1,
                 down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
                 up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"))
    ddpm = dict(small, attention_head_dim=None, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6)
    exotic = dict(small, block_out_channels=(32, 48, 80), norm_num_groups=16, down_block_types=("AttnDownBlock2D",) * 3,
                  up_block_types=("UpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D"), resnet_time_scale_shift="scale_shift",
                  attn_norm_num_groups=8, attention_head_dim=16, downsample_type="resnet", upsample_type="resnet",
                  act_fn="gelu", mid_block_scale_factor=1.5, center_input_sample=True, time_embedding_dim=96)

    def diffusers_folder(folder):
        network = UNet2DModel.from_pretrained(folder)
        return network, load_file(os.path.join(folder, "diffusion_pytorch_model.safetensors"))

    lucid = ("--arch", "lucidrains", "--dim", 16, "--mults", "1,2")
    diff = ("--arch", "diffusers", "--dim", 32, "--mults", "1,2", "--blocks", 1, "--head-dim", 8,
            "--attention-resolutions", "2")
    return {
        "torchvision resnet18, 1000 classes": resnet(1000),
        "torchvision resnet18, 1 logit": resnet(1),
        "lucidrains Unet": lucidrains(),
        "diffusers UNet2DModel, small": diffusers(3, 32, **small),
        "diffusers UNet2DModel, as google/ddpm-cifar10-32": diffusers(3, 32, **ddpm),
        "diffusers UNet2DModel, every other option": diffusers(3, 32, **exotic),
        "diffusers UNet2DModel, 4 in, 1 out": diffusers(4, 32, **dict(small, in_channels=4, out_channels=1)),
        "diffusers UNet2DModel, learned variance": diffusers(3, 32, **dict(small, out_channels=6)),
        "ours, lucidrains": lambda: ours(programs, lucid, lambda file: (
            Unet(16, dim_mults=(1, 2), channels=4, out_dim=1), load_file(file)), 4, 32),
        "ours, diffusers": lambda: ours(programs, diff, diffusers_folder, 4, 32),
    }


def guided_cases(programs):
    """The published configurations of guided-diffusion and improved-diffusion, at fewer channels."""
    try:
        from guided_diffusion.unet import UNetModel
    except ImportError:
        return {}

    def save(network):
        torch.save(network.state_dict(), "source.pt")
        return "source.pt"

    def case(*options, **config):
        network = lambda: UNetModel(64, num_res_blocks=2, **config)
        return lambda: there_and_back(programs, network, save, "guided-diffusion", config["in_channels"], 32, options)

    rgb = dict(in_channels=3, out_channels=6)
    upper = dict(rgb, use_scale_shift_norm=True, resblock_updown=True)
    return {
        "guided-diffusion, as 64x64": case("--num-head-channels", 32, "--attention-order", "new", **upper, model_channels=64,
                                           channel_mult=(1, 2, 3, 4), attention_resolutions=(2, 4, 8),
                                           num_head_channels=32, use_new_attention_order=True),
        "guided-diffusion, as 256x256": case("--num-head-channels", 64, **upper, model_channels=64,
                                             channel_mult=(1, 1, 2, 2, 4, 4), attention_resolutions=(8, 16, 32),
                                             num_head_channels=64),
        "guided-diffusion, as 512x512 (half the width first)": case(
            "--num-head-channels", 64, **upper, model_channels=64, channel_mult=(0.5, 1, 1, 2, 2),
            attention_resolutions=(8, 16), num_head_channels=64),
        "improved-diffusion, as 64x64, learned sigma": case(
            "--num-heads", 4, **rgb, model_channels=32, channel_mult=(1, 2, 3, 4), attention_resolutions=(4, 8),
            num_heads=4, use_scale_shift_norm=True),
        "guided-diffusion, masks as channels, added time": case(
            "--num-heads", 2, in_channels=4, out_channels=1, model_channels=96, channel_mult=(1, 2),
            attention_resolutions=(2,), num_heads=2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of the built programs")
    arguments = parser.parse_args()
    programs = Programs(arguments.bin)
    import denoising_diffusion_pytorch.version
    import diffusers
    import torchvision
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, diffusers {diffusers.__version__}, "
          f"denoising-diffusion-pytorch {denoising_diffusion_pytorch.version.__version__}\n")
    print(f"{'network':<52} {'tensors':>7}  strict  {'relative':>9}  weights")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    failed = False
    for name, case in {**cases(programs), **guided_cases(programs)}.items():
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            count, relative, weights = case()
            os.chdir("/")
        good = relative <= TOLERANCE and weights != "weights differ"
        failed |= not good
        print(f"{name:<52} {count:>7}  yes     {relative:>9.2g}  {weights}{'' if good else '  FAILED'}", flush=True)
    print(f"\n{'FAILED' if failed else 'all within'} {TOLERANCE:g} relative")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

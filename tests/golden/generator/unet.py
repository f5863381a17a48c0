"""The U-Net of denoising-diffusion-pytorch, 2.x with RMSNorm and 1.x with GroupNorm, the formula's weights."""
import copy
import importlib
import sys

import torch
from torch import nn

from .common import both_precisions, load_formula, masks, normal, save, save_keys

SMALL_GRADIENTS = [
    "init_conv.weight", "init_conv.bias", "time_mlp.1.weight", "downs.0.0.mlp.1.weight", "downs.0.0.block1.norm.g",
    "downs.0.2.mem_kv", "downs.0.2.to_out.1.g", "mid_attn.mem_kv", "final_conv.weight", "final_conv.bias",
]
GRADIENTS = SMALL_GRADIENTS + [
    "downs.0.0.block1.proj.weight", "downs.0.2.to_qkv.weight", "downs.1.3.1.weight", "downs.2.2.to_qkv.weight",
    "mid_block2.block2.proj.weight", "ups.0.0.res_conv.weight", "ups.0.3.1.weight", "final_res_block.block1.proj.weight",
]
LARGEST = ["downs.2.2.to_qkv.weight", "mid_block2.block2.proj.weight", "ups.0.3.1.weight"]
# case: pictures, height, width, time steps, gradients that are kept
CASES = {
    "a/": (2, 32, 32, [0, 999], SMALL_GRADIENTS),
    "b/": (3, 16, 24, [1, 500, 37], GRADIENTS),
    "c/": (1, 8, 8, [250], SMALL_GRADIENTS),
}


def picture_and_masks(seed, count, height, width):
    x = normal(seed, count, 4, height, width)
    x[:, 1:] = masks(count, max(height, width))[:, :, :height, :width]
    return x


def cases(name, network, seed, chosen, rename=lambda names: names):
    out = {}
    for case in chosen:
        count, height, width, times, gradients = CASES[case]
        x = picture_and_masks(seed + height, count, height, width)
        target = normal(seed + 1 + height, count, 1, height, width)
        out.update(both_precisions(name, case, network, copy.deepcopy(network).double(), x, torch.tensor(times), target,
                                   rename(gradients)))
    return out


def activations(network):
    """The output of every submodule whose name has at most two dots, on one small picture."""
    x, t, found = picture_and_masks(60, 1, 8, 12), torch.tensor([37]), {}

    def keep(name):
        return lambda _module, _inputs, output: found.__setitem__("act/" + name, output.detach().clone())

    hooks = [module.register_forward_hook(keep(name)) for name, module in network.named_modules()
             if name and name.count(".") <= 2 and not isinstance(module, nn.ModuleList)]
    network(x, t)
    for hook in hooks:
        hook.remove()
    return {"x": x, "t": t, **{k: v for k, v in found.items() if v.numel() <= 6400}}


def rms_norm():
    from denoising_diffusion_pytorch import Unet

    network = Unet(16, dim_mults=(1, 2, 4), channels=4, out_dim=1)
    save_keys("unet_d16/keys.json", load_formula(network), "names of Unet(16, dim_mults=(1, 2, 4)), 2.x")
    name = "unet_d16/io.safetensors"
    save(name, cases(name, network, 32, ("a/", "b/", "c/")), "outputs, loss and gradients of that Unet")
    save("unet_d16/activations.safetensors", activations(network), "outputs of its submodules")


def group_norm(folder):
    """`folder` holds denoising_diffusion_pytorch 1.11.0: Conv - GroupNorm(8) - (scale + 1, shift) - SiLU."""
    def forget():
        for module in [m for m in sys.modules if m.startswith("denoising_diffusion_pytorch")]:
            del sys.modules[module]

    forget()
    sys.path.insert(0, folder)
    version = importlib.import_module("denoising_diffusion_pytorch.version").__version__
    if version != "1.11.0":
        raise SystemExit(f"{folder} holds denoising-diffusion-pytorch {version}, expected 1.11.0")
    from denoising_diffusion_pytorch import Unet

    network = Unet(16, dim_mults=(1, 2, 4), channels=4, out_dim=1, resnet_block_groups=8)
    save_keys("unet_gn_d16/keys.json", load_formula(network), "names of Unet(16, dim_mults=(1, 2, 4)), 1.x")
    name = "unet_gn_d16/io.safetensors"
    def rename(names):
        norms = ["downs.0.0.block1.norm.weight", "downs.0.0.block1.norm.bias"]
        return [k for k in names if not k.endswith("block1.norm.g") and k not in LARGEST] + norms

    save(name, cases(name, network, 52, ("a/", "b/"), rename), "outputs, loss and gradients of that Unet")
    sys.path.pop(0)
    forget()


def conditional_unet(dim, mults):
    """A Unet fed the picture and three masks. The library asserts channels == out_dim, so it says 1 afterwards."""
    from denoising_diffusion_pytorch import Unet

    class CondUnet(Unet):
        def __init__(self):
            super().__init__(dim, dim_mults=mults, channels=4, out_dim=1)
            self.channels, self.condition = 1, None

        def forward(self, x, time, x_self_cond=None):
            return super().forward(torch.cat((x, self.condition), 1), time)

    return CondUnet()

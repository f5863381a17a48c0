"""UNet2DModel of diffusers as save_pretrained writes it: one folder with .bin, one with .safetensors."""
import copy
import os

import torch
from torch import nn

from .common import both_precisions, load_formula, normal, path, save, save_keys

GRADIENTS = [
    "conv_in.weight", "time_embedding.linear_1.weight", "down_blocks.0.resnets.0.time_emb_proj.weight",
    "down_blocks.0.resnets.0.norm1.weight", "down_blocks.0.downsamplers.0.conv.weight",
    "down_blocks.1.attentions.0.to_q.weight", "down_blocks.1.attentions.0.group_norm.weight",
    "mid_block.attentions.0.to_out.0.weight", "up_blocks.0.upsamplers.0.conv.weight", "conv_out.weight",
]


class Sample(nn.Module):
    """The network without the wrapper around its answer."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x, t):
        return self.network(x, t).sample

    def named_parameters(self, *arguments, **options):
        return self.network.named_parameters(*arguments, **options)


def make():
    from diffusers import UNet2DModel

    for folder, options, safe in (("default_bin", {"layers_per_block": 1}, False),
                                  ("scale_shift", {"layers_per_block": 2, "resnet_time_scale_shift": "scale_shift"}, True)):
        network = UNet2DModel(
            sample_size=16, in_channels=4, out_channels=1, block_out_channels=(8, 16), norm_num_groups=4,
            attention_head_dim=8, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"), **options)
        base = "unet_diffusers/" + folder
        save_keys(base + "_keys.json", load_formula(network), "names of a small UNet2DModel")
        weights = path(base + "/diffusion_pytorch_model." + ("safetensors" if safe else "bin"), "save_pretrained")
        path(base + "/config.json", "save_pretrained")
        network.save_pretrained(os.path.dirname(weights), safe_serialization=safe)
        name, out = base + "_io.safetensors", {}
        for case, count, height, width, times in (("a/", 2, 16, 16, [0, 999]), ("b/", 1, 20, 12, [437])):
            x, target = normal(62 + height, count, 4, height, width), normal(63 + height, count, 1, height, width)
            out.update(both_precisions(name, case, Sample(network), Sample(copy.deepcopy(network).double()), x,
                                       torch.tensor(times), target, GRADIENTS))
        save(name, out, "outputs, loss and gradients of that network")

"""The U-Net of guided-diffusion (github.com/openai/guided-diffusion, MIT), the formula's weights."""
import sys

import torch

from .common import load_formula, normal, save, save_json, save_keys

COMMON = dict(image_size=8, in_channels=4, model_channels=32, num_res_blocks=1, attention_resolutions=[2])
NETWORKS = {
    "ssn_legacy": dict(COMMON, out_channels=1, channel_mult=[1, 2], num_head_channels=16, use_scale_shift_norm=True),
    "plain_new_learnsigma_updown": dict(COMMON, out_channels=2, channel_mult=[1, 1], num_heads=4,
                                        use_new_attention_order=True, resblock_updown=True),
}
GRADIENTS = [
    "input_blocks.0.0.weight", "input_blocks.1.0.emb_layers.1.weight", "middle_block.1.qkv.weight", "out.2.weight",
    "output_blocks.0.0.in_layers.0.weight", "time_embed.0.weight",
]


def answer(network, x, t, gy):
    network.zero_grad(set_to_none=True)
    x = x.clone().requires_grad_()
    y = network(x, t)
    y.backward(gy)
    parameters = dict(network.named_parameters())
    found = {"y": y, "g_x": x.grad, **{"grad." + k: parameters[k].grad for k in GRADIENTS}}
    return {k: v.detach().clone() for k, v in found.items()}


def activations(network, x, t):
    """What every block answers, and every layer of the time embedding and of the output."""
    found, hooks = {}, []
    for name, module in network.named_modules():
        if name.count(".") == 1 and not name.startswith("label"):
            hooks.append(module.register_forward_hook(lambda _m, _i, output, name=name: found.__setitem__("act/" + name, output.detach().clone())))
    network(x, t)
    for hook in hooks:
        hook.remove()
    return found


def make(folder):
    """`folder` holds guided_diffusion/, of which unet.py, nn.py and fp16_util.py are used."""
    sys.path.insert(0, folder)
    from guided_diffusion.unet import UNetModel

    for short, options in NETWORKS.items():
        network, name = UNetModel(**options), f"unet_guided/{short}_io.safetensors"
        save_keys(f"unet_guided/{short}_keys.json", load_formula(network), "names of a small UNetModel")
        x, t = normal(70, 2, 4, 8, 8), torch.tensor([3, 870])
        gy = normal(71, 2, options["out_channels"], 8, 8)
        # The original casts to float32 within (GroupNorm32, softmax), so there is no float64 twin.
        out = {"x": x, "t": t, "gy": gy, **answer(network, x, t, gy), **activations(network, x, t)}
        save(name, out, "output, gradients and activations of that network")
    save_json("unet_guided/cases.json", NETWORKS, "how the two networks were made")
    sys.path.pop(0)

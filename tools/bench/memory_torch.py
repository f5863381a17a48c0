"""The most memory that training steps of lucidrains' U-Net take in PyTorch: network, Adam, an average of the weights.

  memory_torch.py SIZE MULTS BATCH [--checkpoint]     for example: memory_torch.py 256 1,2,4,8 2 --checkpoint

--checkpoint computes each residual block's activations again in the backward pass, as --checkpoint-activations does.
"""
import copy
import re
import sys

import torch
from denoising_diffusion_pytorch import Unet
from denoising_diffusion_pytorch.denoising_diffusion_pytorch import ResnetBlock
from torch.utils.checkpoint import checkpoint


def status(key):
    return int(re.search(key + r":\s+(\d+)", open("/proc/self/status").read()).group(1)) / 1024


size, mults, batch = int(sys.argv[1]), tuple(map(int, sys.argv[2].split(","))), int(sys.argv[3])
torch.set_num_threads(2)
torch.manual_seed(0)
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
net = Unet(64, dim_mults=mults, channels=4, out_dim=1).to(memory_format=torch.channels_last)
average = copy.deepcopy(net)
if "--checkpoint" in sys.argv:
    plain = ResnetBlock.forward
    ResnetBlock.forward = lambda self, *inputs: checkpoint(plain, self, *inputs, use_reentrant=False)
x = torch.randn(batch, 4, size, size).contiguous(memory_format=torch.channels_last)
t = torch.zeros(batch, dtype=torch.long)
adam = torch.optim.Adam(net.parameters(), lr=1e-4)
for _ in range(3):
    adam.zero_grad(set_to_none=True)
    net(x, t).square().mean().backward()
    adam.step()
print(f"{size}x{size}, {mults}, batch {batch}: {status('VmHWM') - before:.0f} MiB, without PyTorch's own {before:.0f}")

"""Train step and denoise of our default U-Net in PyTorch on a GPU: bf16 autocast, channels last, eager and compiled.

  gpu_torch.py SIZE DIM BATCH MULT...           prints "mode train_ms denoise_ms peak_mib" lines
Called by the run.sh that gpu_bundle.sh packs, on machines that have PyTorch and nothing else: the network (lucidrains'
architecture, the names of its weights) is written out here. Each time is the median of 20 after 10 that don't count.
"""
import math
import statistics
import sys

import torch
from torch import nn
from torch.nn import functional as F


class RMSNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x):
        return F.normalize(x, dim=1) * self.g * x.shape[1] ** 0.5


class TimeEmbedding(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.half = dim // 2

    def forward(self, t):
        rates = torch.exp(torch.arange(self.half, device=t.device) * -(math.log(10000) / (self.half - 1)))
        angles = t[:, None] * rates[None]
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


class Block(nn.Module):
    def __init__(self, inner, outer):
        super().__init__()
        self.proj = nn.Conv2d(inner, outer, 3, padding=1)
        self.norm = RMSNorm(outer)

    def forward(self, x, scale_shift=None):
        x = self.norm(self.proj(x))
        if scale_shift is not None:
            x = x * (scale_shift[0] + 1) + scale_shift[1]
        return F.silu(x)


class ResnetBlock(nn.Module):
    def __init__(self, inner, outer, time):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(time, 2 * outer))
        self.block1, self.block2 = Block(inner, outer), Block(outer, outer)
        self.res_conv = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x, time):
        scale_shift = self.mlp(time)[:, :, None, None].chunk(2, dim=1)
        return self.block2(self.block1(x, scale_shift)) + self.res_conv(x)


class Attention(nn.Module):
    def __init__(self, channels, linear, heads=4, head_dim=32, memory=4):
        super().__init__()
        self.linear, self.heads, self.head_dim = linear, heads, head_dim
        shape = (head_dim, memory) if linear else (memory, head_dim)
        self.norm = RMSNorm(channels)
        self.mem_kv = nn.Parameter(torch.randn(2, heads, *shape))
        self.to_qkv = nn.Conv2d(channels, 3 * heads * head_dim, 1, bias=False)
        out = nn.Conv2d(heads * head_dim, channels, 1)
        self.to_out = nn.Sequential(out, RMSNorm(channels)) if linear else out

    def forward(self, x):
        n, _, height, width = x.shape
        qkv = self.to_qkv(self.norm(x)).reshape(n, 3, self.heads, self.head_dim, height * width)
        q, k, v = qkv.unbind(1)  # (n, heads, head_dim, pixels)
        if self.linear:
            memory = self.mem_kv[:, None].expand(-1, n, -1, -1, -1).to(k.dtype)
            k, v = torch.cat((memory[0], k), dim=-1), torch.cat((memory[1], v), dim=-1)
            context = k.softmax(dim=-1) @ v.transpose(-1, -2)
            y = context.transpose(-1, -2) @ (q.softmax(dim=-2) * self.head_dim**-0.5)
        else:
            memory = self.mem_kv[:, None].expand(-1, n, -1, -1, -1).to(k.dtype)
            q, k, v = (each.transpose(-1, -2) for each in (q, k, v))
            k, v = torch.cat((memory[0], k), dim=-2), torch.cat((memory[1], v), dim=-2)
            y = F.scaled_dot_product_attention(q.contiguous(), k.contiguous(), v.contiguous()).transpose(-1, -2)
        return self.to_out(y.reshape(n, self.heads * self.head_dim, height, width))


class Unshuffle(nn.Module):
    def forward(self, x):
        n, c, height, width = x.shape
        x = x.reshape(n, c, height // 2, 2, width // 2, 2)
        return x.permute(0, 1, 3, 5, 2, 4).reshape(n, 4 * c, height // 2, width // 2)


def resample(kind, inner, outer):
    if kind == "down":
        return nn.Sequential(Unshuffle(), nn.Conv2d(4 * inner, outer, 1))
    conv = nn.Conv2d(inner, outer, 3, padding=1)
    return conv if kind == "same" else nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), conv)


class Unet(nn.Module):
    def __init__(self, dim, mults, channels=4, out_channels=1):
        super().__init__()
        widths = [dim] + [dim * mult for mult in mults]
        time = 4 * dim
        self.init_conv = nn.Conv2d(channels, dim, 7, padding=3)
        self.time_mlp = nn.Sequential(TimeEmbedding(dim), nn.Linear(dim, time), nn.GELU(), nn.Linear(time, time))
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        last = len(mults) - 1
        for i in range(len(mults)):
            inner, outer = widths[i], widths[i + 1]
            self.downs.append(nn.ModuleList([ResnetBlock(inner, inner, time), ResnetBlock(inner, inner, time),
                                             Attention(inner, i < last), resample("down" if i < last else "same", inner, outer)]))
        for i in reversed(range(len(mults))):
            inner, outer = widths[i], widths[i + 1]
            self.ups.append(nn.ModuleList([ResnetBlock(inner + outer, outer, time), ResnetBlock(inner + outer, outer, time),
                                           Attention(outer, i < last), resample("up" if i > 0 else "same", outer, inner)]))
        lowest = widths[-1]
        self.mid_block1, self.mid_block2 = ResnetBlock(lowest, lowest, time), ResnetBlock(lowest, lowest, time)
        self.mid_attn = Attention(lowest, False)
        self.final_res_block = ResnetBlock(2 * dim, dim, time)
        self.final_conv = nn.Conv2d(dim, out_channels, 1)

    def forward(self, x, t):
        time = self.time_mlp(t)
        x = first = self.init_conv(x)
        skips = []
        for block1, block2, attention, down in self.downs:
            x = block1(x, time)
            skips.append(x)
            x = block2(x, time)
            x = attention(x) + x
            skips.append(x)
            x = down(x)
        x = self.mid_block1(x, time)
        x = self.mid_attn(x) + x
        x = self.mid_block2(x, time)
        for block1, block2, attention, up in self.ups:
            x = block1(torch.cat((x, skips.pop()), dim=1), time)
            x = block2(torch.cat((x, skips.pop()), dim=1), time)
            x = up(attention(x) + x)
        return self.final_conv(self.final_res_block(torch.cat((x, first), dim=1), time))


def milliseconds(run):
    for _ in range(10):
        run()
    times = []
    for _ in range(20):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def measure(size, dim, batch, *mults):
    for mode in ("eager", "compile"):
        torch.manual_seed(0)
        torch.cuda.reset_peak_memory_stats()
        network = Unet(dim, mults).cuda().to(memory_format=torch.channels_last)
        call = torch.compile(network) if mode == "compile" else network
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
        x = torch.randn(batch, 4, size, size, device="cuda").to(memory_format=torch.channels_last)
        t = torch.randint(0, 1000, (batch,), device="cuda")
        target = torch.randn(batch, 1, size, size, device="cuda")

        def train():
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cuda", torch.bfloat16):
                loss = F.mse_loss(call(x, t).float(), target)
            loss.backward()
            optimizer.step()

        def denoise():
            with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
                call(x, t)

        print(mode, f"{milliseconds(train):.2f}", f"{milliseconds(denoise):.2f}", f"{torch.cuda.max_memory_allocated() / 2**20:.0f}", flush=True)


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:]))

"""Every op of PyTorch that ours has, case by case: inputs, output, incoming gradient and gradients, in both precisions."""
import torch
import torch.nn.functional as F

from .common import Float64, fnv1a, normal, save, tolerance

INDEX = {}  # op -> case -> its parameters


class Cases:
    """The cases of one op; with: saved as ops/OP.safetensors when it ends."""

    def __init__(self, op):
        self.op, self.file, self.tensors, self.parameters = op, f"ops/{op}.safetensors", {}, {}
        self.seed = fnv1a(op) % (1 << 31)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if failure[0] is None:
            save(self.file, self.tensors, f"PyTorch's {self.op}, forward and backward", {"cases": self.parameters})
            INDEX[self.op] = self.parameters

    def normal(self, *shape, scale=1.0):
        self.seed += 1
        return normal(self.seed, *shape) * scale

    def gain(self, *shape):
        return 1 + 0.3 * self.normal(*shape)

    def add(self, case, function, inputs, parameters=None, by=None, extra=None):
        """function(**inputs) -> y. Stores CASE/INPUT, CASE/gy, and from float64 CASE/y_f64 and CASE/g_INPUT_f64; what float32
        gives is in the tolerances. `by`: the inputs to differentiate by, or else all that are floating point."""
        if by is None:
            by = [k for k, v in inputs.items() if v.is_floating_point()]
        results, gy = [], None
        for dtype in (torch.float32, torch.float64):
            own = {k: v.detach().clone().to(dtype if v.is_floating_point() else v.dtype) for k, v in inputs.items()}
            for k in by:
                own[k].requires_grad_()
            if dtype == torch.float64:
                with Float64():
                    y = function(**own)
            else:
                y = function(**own)
            if gy is None:
                self.seed += 1
                gy = normal(self.seed, *y.shape) if y.dim() else torch.tensor(1.0)
            results.append((y.detach(), torch.autograd.grad(y, [own[k] for k in by], gy.to(dtype)) if by else []))
        (y, gradients), (y_double, gradients_double) = results
        out = dict(inputs, y_f64=y_double, **(extra or {}))
        tolerance(self.file, f"{case}/y", y, y_double)
        if by:
            out["gy"] = gy
        for k, single, double in zip(by, gradients, gradients_double):
            out[f"g_{k}_f64"] = double
            tolerance(self.file, f"{case}/g_{k}", single, double)
        self.tensors.update({f"{case}/{k}": v for k, v in out.items()})
        self.parameters[case] = parameters or {}


def convolutions():
    with Cases("conv2d") as cases:
        # N, C, K, H, W, R, S, stride, padding, dilation, groups, bias
        rows = {
            "k3p1": (2, 4, 6, 9, 11, 3, 3, 1, 1, 1, 1, True),
            "k1": (2, 5, 7, 6, 5, 1, 1, 1, 0, 1, 1, True),
            "k1_nobias": (1, 16, 48, 8, 8, 1, 1, 1, 0, 1, 1, False),
            "k7p3": (2, 4, 8, 13, 10, 7, 7, 1, 3, 1, 1, True),
            "k7s2p3": (2, 3, 8, 33, 31, 7, 7, 2, 3, 1, 1, False),
            "k3s2p1": (2, 8, 8, 15, 16, 3, 3, 2, 1, 1, 1, True),
            "k3s2p1_odd": (1, 3, 5, 7, 7, 3, 3, 2, 1, 1, 1, False),
            "k1s2": (2, 6, 9, 9, 8, 1, 1, 2, 0, 1, 1, False),
            "k4s2p1": (2, 4, 4, 8, 12, 4, 4, 2, 1, 1, 1, True),
            "dil2": (2, 4, 6, 11, 12, 3, 3, 1, 2, 2, 1, True),
            "groups2": (2, 6, 8, 9, 9, 3, 3, 1, 1, 1, 2, True),
            "depthwise": (2, 5, 5, 9, 9, 3, 3, 1, 1, 1, 5, True),
            "k3p0": (1, 2, 3, 5, 5, 3, 3, 1, 0, 1, 1, True),
            "k3_1x1_image": (1, 4, 4, 1, 1, 3, 3, 1, 1, 1, 1, True),
            "k3x5": (2, 3, 4, 8, 9, 3, 5, 1, (1, 2), 1, 1, True),
            "s21": (1, 3, 4, 9, 10, 3, 3, (2, 1), (1, 0), 1, 1, True),
            "c48": (1, 48, 32, 12, 12, 3, 3, 1, 1, 1, 1, True),  # wide enough for the Winograd path
            "c1": (4, 1, 1, 6, 6, 3, 3, 1, 1, 1, 1, True),
        }
        for case, (N, C, K, H, W, R, S, stride, padding, dilation, groups, bias) in rows.items():
            depth = C // groups
            inputs = {"x": cases.normal(N, C, H, W), "w": cases.normal(K, depth, R, S, scale=(depth * R * S) ** -0.5)}
            if bias:
                inputs["b"] = cases.normal(K)
            cases.add(case, lambda x, w, b=None: F.conv2d(x, w, b, stride, padding, dilation, groups), inputs,
                      dict(stride=stride, padding=padding, dilation=dilation, groups=groups, bias=bias))
    with Cases("conv_transpose2d") as cases:
        # N, C, K, H, W, kernel, stride, padding, output padding, dilation, groups
        rows = {
            "k4s2p1": (2, 4, 6, 5, 7, 4, 2, 1, 0, 1, 1),
            "k2s2": (2, 4, 3, 5, 6, 2, 2, 0, 0, 1, 1),
            "k3s2p1op1": (1, 3, 4, 7, 5, 3, 2, 1, 1, 1, 1),
            "k3": (1, 3, 4, 6, 6, 3, 1, 1, 0, 1, 1),
            "groups2": (2, 4, 6, 5, 5, 3, 2, 1, 0, 1, 2),
            "dil2": (1, 3, 2, 6, 5, 3, 1, 2, 0, 2, 1),
        }
        for case, (N, C, K, H, W, R, stride, padding, output_padding, dilation, groups) in rows.items():
            cases.add(case, lambda x, w, b: F.conv_transpose2d(x, w, b, stride, padding, output_padding, groups, dilation),
                      {"x": cases.normal(N, C, H, W), "w": cases.normal(C, K // groups, R, R, scale=0.2), "b": cases.normal(K)},
                      dict(stride=stride, padding=padding, output_padding=output_padding, dilation=dilation, groups=groups))
    with Cases("linear") as cases:
        for case, (N, inner, outer, bias) in {"a": (3, 16, 64, True), "odd": (5, 17, 9, True), "nobias": (2, 33, 7, False),
                                              "one": (1, 512, 1, True)}.items():
            inputs = {"x": cases.normal(N, inner), "w": cases.normal(outer, inner, scale=inner**-0.5)}
            if bias:
                inputs["b"] = cases.normal(outer)
            cases.add(case, lambda x, w, b=None: F.linear(x, w, b), inputs, {"bias": bias})
        cases.add("batch3d", lambda x, w, b: F.linear(x, w, b),
                  {"x": cases.normal(2, 5, 12), "w": cases.normal(8, 12, scale=0.3), "b": cases.normal(8)})


def norms():
    with Cases("group_norm") as cases:
        # N, C, H, W, groups, eps, scale, offset
        rows = {
            "g8": (2, 16, 7, 9, 8, 1e-5, 1, 0),
            "g1": (2, 6, 5, 5, 1, 1e-5, 1, 0),
            "gC": (2, 6, 5, 5, 6, 1e-5, 1, 0),
            "eps6": (1, 32, 8, 8, 8, 1e-6, 1, 0),
            "offset1000": (2, 8, 9, 9, 4, 1e-5, 1, 1000.0),
            "tiny": (2, 8, 9, 9, 4, 1e-5, 1e-4, 0),
            "one_pixel": (2, 8, 1, 1, 4, 1e-5, 1, 0),
        }
        for case, (N, C, H, W, groups, eps, scale, offset) in rows.items():
            cases.add(case, lambda x, w, b: F.group_norm(x, groups, w, b, eps),
                      {"x": cases.normal(N, C, H, W, scale=scale) + offset, "w": cases.gain(C), "b": cases.normal(C)},
                      {"groups": groups, "eps": eps})
        x = cases.normal(1, 8, 4, 4)
        x[:, :4] = 2.5
        cases.add("constant_groups", lambda x, w, b: F.group_norm(x, 2, w, b, 1e-5),
                  {"x": x, "w": cases.gain(8), "b": cases.normal(8)}, {"groups": 2, "eps": 1e-5})
    with Cases("rms_norm_lucidrains") as cases:

        def rms_norm(x, g):  # over channels: x / max(||x||_2, 1e-12) * g * sqrt(C)
            return F.normalize(x, dim=1) * g * (x.shape[1] ** 0.5)

        for case, shape in {"a": (2, 16, 7, 5), "c1": (2, 1, 4, 4), "c64": (1, 64, 4, 4)}.items():
            cases.add(case, rms_norm, {"x": cases.normal(*shape), "g": cases.gain(1, shape[1], 1, 1)})
        cases.add("small1e-6", rms_norm, {"x": cases.normal(1, 8, 3, 3, scale=1e-6), "g": torch.ones(1, 8, 1, 1)})
        x = cases.normal(1, 8, 3, 3)
        x[:, :, 1, 1] = 0
        cases.add("zero_pixel", rms_norm, {"x": x, "g": cases.gain(1, 8, 1, 1)})
    with Cases("layer_norm") as cases:
        cases.add("a", lambda x, w, b: F.layer_norm(x, (12,), w, b, 1e-5),
                  {"x": cases.normal(3, 5, 12), "w": cases.gain(12), "b": cases.normal(12)}, {"eps": 1e-5})
    with Cases("batch_norm") as cases:
        # shape, training, momentum, offset
        rows = {
            "train": ((4, 6, 5, 7), True, 0.1, 0),
            "eval": ((4, 6, 5, 7), False, 0.1, 0),
            "train_mom03": ((3, 5, 4, 4), True, 0.3, 0),
            "train_offset": ((4, 3, 6, 6), True, 0.1, 100.0),
            "eval_n1": ((1, 3, 3, 3), False, 0.1, 0),
        }
        for case, (shape, training, momentum, offset) in rows.items():
            C = shape[1]
            mean, var, x = cases.normal(C), cases.normal(C).abs() + 0.5, cases.normal(*shape) + offset
            mean_after, var_after = mean.clone(), var.clone()  # var is the unbiased one
            F.batch_norm(x, mean_after, var_after, None, None, training, momentum, 1e-5)
            cases.add(case, lambda x, w, b: F.batch_norm(x, mean.to(x.dtype, copy=True), var.to(x.dtype, copy=True), w, b,
                                                         training, momentum, 1e-5),
                      {"x": x, "w": cases.gain(C), "b": cases.normal(C)},
                      {"training": training, "momentum": momentum, "eps": 1e-5},
                      extra={"rm_before": mean, "rv_before": var, "rm_after": mean_after, "rv_after": var_after})


def pointwise():
    with Cases("activations") as cases:
        edge = [0, -0.0, 1, -1, 1e-30, -1e-30, 20, -20, 88, -88, 89, -89, 104, -104, 1e4, -1e4, 1e30, -1e30]
        x = torch.cat([torch.tensor(edge, dtype=torch.float32), cases.normal(45) * 3])
        functions = {
            "silu": F.silu, "relu": F.relu, "gelu_erf": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
            "sigmoid": torch.sigmoid, "tanh": torch.tanh, "softplus": F.softplus,
            "leaky_relu02": lambda x: F.leaky_relu(x, 0.2),
        }
        for case, function in functions.items():
            cases.add(case, lambda x: function(x), {"x": x})
    with Cases("softmax") as cases:
        cases.add("last", lambda x: x.softmax(-1), {"x": cases.normal(3, 4, 7) * 3})
        cases.add("dim1", lambda x: x.softmax(1), {"x": cases.normal(3, 4, 7) * 3})
        x = cases.normal(2, 5)
        x[0] += 1e4
        x[1, 2] = -1e30
        cases.add("huge", lambda x: x.softmax(-1), {"x": x})
        x = cases.normal(2, 5)
        x[0, 1:3] = float("-inf")
        cases.add("neg_inf", lambda x: x.softmax(-1), {"x": x})


def attentions():
    with Cases("softmax_attention") as cases:

        def attention(q, k, v):  # b h n d
            return (torch.einsum("bhid,bhjd->bhij", q, k) * q.shape[-1] ** -0.5).softmax(-1) @ v

        for case, (b, h, i, j, d) in {"a": (2, 4, 16, 20, 8), "odd": (1, 3, 7, 11, 5), "one": (1, 1, 1, 1, 4),
                                      "d32": (1, 2, 33, 37, 32)}.items():
            cases.add(case, attention, {"q": cases.normal(b, h, i, d), "k": cases.normal(b, h, j, d), "v": cases.normal(b, h, j, d)})
        cases.add("sharp", attention, {"q": cases.normal(1, 2, 9, 8) * 12, "k": cases.normal(1, 2, 9, 8) * 12,
                                       "v": cases.normal(1, 2, 9, 8)})
    with Cases("linear_attention") as cases:

        def linear_attention(q, k, v):  # b h d n; q's softmax over d, k's over n
            context = torch.einsum("bhdn,bhen->bhde", k.softmax(-1), v)
            return torch.einsum("bhde,bhdn->bhen", context, q.softmax(-2) * q.shape[-2] ** -0.5)

        for case, (b, h, d, n, m) in {"a": (2, 4, 8, 16, 20), "odd": (1, 3, 5, 7, 11)}.items():
            cases.add(case, linear_attention, {"q": cases.normal(b, h, d, n), "k": cases.normal(b, h, d, m), "v": cases.normal(b, h, d, m)})


def lucidrains_modules():
    from denoising_diffusion_pytorch.denoising_diffusion_pytorch import (
        Attention, Downsample, LinearAttention, ResnetBlock, Upsample)

    with Cases("lucidrains_modules") as cases:

        def add(case, module, inputs):
            with torch.no_grad():
                for name, parameter in module.named_parameters():
                    if name.endswith(".g"):
                        parameter.add_(0.3 * cases.normal(*parameter.shape))
            own = {k: p.detach().clone() for k, p in module.named_parameters()}
            cases.add(case, lambda **all: torch.func.functional_call(module, {k: all[k] for k in own}, tuple(all[k] for k in inputs)),
                      {**inputs, **own})

        torch.manual_seed(80)
        add("attention", Attention(12, heads=4, dim_head=8, num_mem_kv=4), {"x": cases.normal(2, 12, 5, 3)})
        add("linear_attention", LinearAttention(12, heads=4, dim_head=8, num_mem_kv=4), {"x": cases.normal(2, 12, 5, 3)})
        add("resnet_block", ResnetBlock(6, 10, time_emb_dim=12), {"x": cases.normal(2, 6, 5, 7), "t": cases.normal(2, 12)})
        add("resnet_block_same", ResnetBlock(8, 8, time_emb_dim=12), {"x": cases.normal(2, 8, 4, 4), "t": cases.normal(2, 12)})
        add("downsample", Downsample(6, 10), {"x": cases.normal(2, 6, 6, 8)})  # pixel-unshuffle (c p1 p2), then 1x1
        add("upsample", Upsample(6, 4), {"x": cases.normal(2, 6, 3, 5)})  # nearest, then 3x3


def pictures():
    with Cases("upsample") as cases:
        rows = {
            "nearest2": (dict(scale_factor=2, mode="nearest"), (2, 3, 5, 7)),
            "nearest_to": (dict(size=(7, 10), mode="nearest"), (2, 3, 5, 4)),
            "nearest_down": (dict(size=(3, 3), mode="nearest"), (1, 2, 8, 7)),
            "bilinear2": (dict(scale_factor=2, mode="bilinear", align_corners=False), (2, 3, 5, 7)),
            "bilinear2_ac": (dict(scale_factor=2, mode="bilinear", align_corners=True), (2, 3, 5, 7)),
            "bilinear_to": (dict(size=(13, 6), mode="bilinear", align_corners=False), (1, 2, 5, 9)),
            "bilinear_to_aa": (dict(size=(5, 4), mode="bilinear", align_corners=False, antialias=True), (1, 2, 11, 9)),
            "bicubic2": (dict(scale_factor=2, mode="bicubic", align_corners=False), (1, 2, 5, 4)),
        }
        for case, (options, shape) in rows.items():
            cases.add(case, lambda x: F.interpolate(x, **options), {"x": cases.normal(*shape)}, options)
        cases.add("pixel_unshuffle2", lambda x: F.pixel_unshuffle(x, 2), {"x": cases.normal(2, 3, 6, 8)})
        cases.add("pixel_shuffle2", lambda x: F.pixel_shuffle(x, 2), {"x": cases.normal(2, 12, 3, 4)})
    with Cases("pool") as cases:
        rows = {
            "max_k3s2p1": (lambda x: F.max_pool2d(x, 3, 2, 1), (2, 3, 9, 10)),
            "max_k2": (lambda x: F.max_pool2d(x, 2), (2, 3, 7, 8)),
            "max_ceil": (lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), (1, 2, 8, 8)),
            "max_dil": (lambda x: F.max_pool2d(x, 3, 1, 0, 2), (1, 2, 8, 9)),
            "avg_k2": (lambda x: F.avg_pool2d(x, 2), (2, 3, 7, 8)),
            "avg_k3s2p1": (lambda x: F.avg_pool2d(x, 3, 2, 1), (2, 3, 9, 10)),
            "avg_k3s2p1_nopad": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), (2, 3, 9, 10)),
            "adaptive1": (lambda x: F.adaptive_avg_pool2d(x, 1), (2, 5, 7, 6)),
            "adaptive3x2": (lambda x: F.adaptive_avg_pool2d(x, (3, 2)), (2, 3, 7, 5)),
        }
        for case, (function, shape) in rows.items():
            cases.add(case, function, {"x": cases.normal(*shape)})
        x = torch.zeros(1, 1, 6, 6)  # the gradient goes to the first maximum in row-major order
        x[0, 0, 1:4, 2:5] = 1
        cases.add("max_ties", lambda x: F.max_pool2d(x, 3, 2, 1), {"x": x})


def time_embeddings():
    from denoising_diffusion_pytorch.denoising_diffusion_pytorch import SinusoidalPosEmb
    from diffusers.models.embeddings import get_timestep_embedding

    with Cases("time_embedding") as cases:
        t = torch.tensor([0, 1, 2, 37, 500, 999, 1999])
        for d in (8, 16, 64, 128):
            cases.add(f"lucidrains_d{d}", lambda t: SinusoidalPosEmb(d)(t), {"t": t}, {"dim": d, "theta": 10000}, by=[])
        for case, d, cos_first, shift in (("diffusers_d32", 32, True, 0), ("diffusers_d32_shift1", 32, False, 1),
                                          ("diffusers_odd33", 33, True, 0)):
            options = {"flip_sin_to_cos": cos_first, "downscale_freq_shift": shift}
            cases.tensors[f"{case}/t"] = t
            cases.tensors[f"{case}/y"] = get_timestep_embedding(t, d, **options)
            cases.parameters[case] = {"dim": d, **options}


def losses():
    bce = F.binary_cross_entropy_with_logits
    with Cases("losses") as cases:
        for reduction in ("mean", "sum", "none"):
            cases.add(f"mse_{reduction}", lambda x, t: F.mse_loss(x, t, reduction=reduction),
                      {"x": cases.normal(3, 1, 5, 4), "t": cases.normal(3, 1, 5, 4)}, {"reduction": reduction}, by=["x"])
            cases.add(f"bce_{reduction}", lambda x, t: bce(x, t, reduction=reduction),
                      {"x": cases.normal(7, 1) * 3, "t": (cases.normal(7, 1) > 0).float()}, {"reduction": reduction}, by=["x"])
        huge = torch.tensor([0, -0.0, 50, -50, 88.8, -88.8, 104, -104, 1e4, -1e4, 1e30, -1e30, 3e38, -3e38, 1e-40])
        for target in (0.0, 1.0, 0.5, 0.9):
            cases.add(f"bce_huge_t{target}", lambda x, t: bce(x, t, reduction="none"),
                      {"x": huge, "t": torch.full_like(huge, target)}, {"reduction": "none"}, by=["x"])
        cases.add("bce_posweight", lambda x, t, pw, wt: bce(x, t, weight=wt, pos_weight=pw),
                  {"x": cases.normal(6, 3) * 2, "t": (cases.normal(6, 3) > 0).float(), "pw": torch.tensor([0.5, 1.0, 4.0]),
                   "wt": cases.normal(6, 3).abs()}, {"reduction": "mean"}, by=["x"])
        cases.add("bce_soft_targets", lambda x, t: bce(x, t),
                  {"x": cases.normal(5, 2), "t": torch.sigmoid(cases.normal(5, 2))}, by=["x"])
        cases.add("l1", lambda x, t: F.l1_loss(x, t), {"x": cases.normal(4, 3), "t": cases.normal(4, 3)}, by=["x"])
        cases.add("smooth_l1", lambda x, t: F.smooth_l1_loss(x, t), {"x": cases.normal(4, 3) * 2, "t": cases.normal(4, 3)}, by=["x"])
        cases.add("cross_entropy", lambda x, t: F.cross_entropy(x, t),
                  {"x": cases.normal(5, 7) * 2, "t": torch.tensor([0, 6, 3, 3, 1])}, by=["x"])


def make():
    convolutions()
    norms()
    pointwise()
    attentions()
    lucidrains_modules()
    pictures()
    time_embeddings()
    losses()

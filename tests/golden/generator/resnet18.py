"""torchvision's ResNet-18: narrow in both modes and in every container of PyTorch, full width by its outputs alone."""
import copy
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from .common import contiguous, formula_weights, load_formula, normal, path, save, save_keys, seeded, stream, tolerance

# Where gradients are kept, no ReLU's input and no two pixels that pooling chooses between stand so close (5e-6 of the largest)
# that rounding could decide: the inputs' seeds are chosen so.
GRADIENTS = [
    "conv1.weight", "bn1.weight", "bn1.bias", "layer1.0.conv1.weight", "layer2.0.downsample.0.weight",
    "layer2.0.downsample.1.weight", "layer4.1.conv2.weight", "layer4.1.bn2.bias", "fc.weight", "fc.bias",
]
STATISTICS = [
    "bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked", "layer4.1.bn2.running_mean",
    "layer4.1.bn2.running_var", "layer4.1.bn2.num_batches_tracked",
]


def narrow_resnet18(width, classes):
    """torchvision's ResNet, its forward pass and its names, with layers of width, 2, 4 and 8 times that."""
    from torchvision.models.resnet import BasicBlock, ResNet

    class Narrow(ResNet):
        def __init__(self):
            nn.Module.__init__(self)
            self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, width, 1, 1, 64
            self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
            self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
            self.layer1 = self._make_layer(BasicBlock, width, 2)
            self.layer2 = self._make_layer(BasicBlock, 2 * width, 2, stride=2)
            self.layer3 = self._make_layer(BasicBlock, 4 * width, 2, stride=2)
            self.layer4 = self._make_layer(BasicBlock, 8 * width, 2, stride=2)
            self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(8 * width, classes)

    return Narrow()


def logit_pass(network, x, target, train):
    network.train(train)
    network.zero_grad(set_to_none=True)
    x = x.clone().requires_grad_()
    logits = network(x)
    loss = F.binary_cross_entropy_with_logits(logits, target)
    loss.backward()
    parameters = dict(network.named_parameters())
    found = OrderedDict(logits=logits, loss=loss, grad_input=x.grad)
    found.update({"grad." + k: parameters[k].grad for k in GRADIENTS})
    return {k: v.detach().clone() for k, v in found.items()}


def narrow():
    network = narrow_resnet18(4, 1)
    weights = formula_weights(network.state_dict())
    half = OrderedDict((k, v.half() if v.is_floating_point() else v) for k, v in weights.items())
    wrapped = {"epoch": 7, "arch": "resnet18", "best_acc1": 0.875,
               "state_dict": OrderedDict(("module." + k, v) for k, v in weights.items())}
    save_keys("resnet18/narrow4_keys.json", weights, "names of torchvision's ResNet-18 of width 4")
    torch.save(weights, path("resnet18/narrow4.pt", "torch.save of the formula's weights"))
    torch.save(weights, path("resnet18/narrow4_legacy.pth", "the same, without the zip of PyTorch 1.6"),
               _use_new_zipfile_serialization=False)
    torch.save(half, path("resnet18/narrow4_fp16.pt", "the same in half precision"))
    torch.save(wrapped, path("resnet18/narrow4_dataparallel_wrapped.pth.tar", "the same as DataParallel in a training"
                             " script saves it"))
    name, out = "resnet18/narrow4_io.safetensors", {}
    for size, count in ((48, 3), (43, 3)):
        x = normal(12 + size, count, 3, size, size)
        target = torch.randint(0, 2, (count, 1), generator=seeded(13 + size)).float()
        out[f"s{size}/x"], out[f"s{size}/target"] = x, target
        for train in (False, True):
            case = f"s{size}/" + ("train/" if train else "eval/")
            network.load_state_dict(weights)
            double = copy.deepcopy(network).double()
            single_pass, double_pass = logit_pass(network, x, target, train), logit_pass(double, x.double(), target.double(), train)
            out.update({case + k: v for k, v in single_pass.items()})
            out.update({case + k + "_f64": double_pass[k] for k in ("logits", "loss")})
            for k in single_pass:
                tolerance(name, case + k, single_pass[k], double_pass[k])
            if train:
                for k in STATISTICS:
                    out[case + "after." + k] = contiguous(network.state_dict()[k])
                    tolerance(name, case + "after." + k, network.state_dict()[k], double.state_dict()[k])
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in half.items()})
    network.eval()
    out["s48/eval/logits_from_fp16_checkpoint"] = network(out["s48/x"])
    save(name, out, "inputs, logits, loss and gradients in both modes, statistics after a training pass")


def full():
    import torchvision

    for classes, short in ((1, "logit1"), (1000, "cls1000")):
        network = torchvision.models.resnet18(weights=None, num_classes=classes)
        weights = load_formula(network)
        network.eval()
        double = copy.deepcopy(network).double()
        x, small = (stream(seed, 2 * 3 * size**2).reshape(2, 3, size, size) for seed, size in ((777, 96), (961, 32)))
        name = f"resnet18/full_{short}_formula_io.safetensors"
        logits, logits_double = network(x), double(x.double())
        tolerance(name, "logits", logits, logits_double)
        save_keys(f"resnet18/full_{short}_keys.json", weights, f"names of torchvision's resnet18, {classes} classes")
        out = {"logits": logits, "logits_f64": logits_double, "first_weights": weights["conv1.weight"].flatten()[:64],
               "x_first": x.flatten()[:64]}
        if classes == 1:
            target = torch.tensor([[1.0], [0.0]])
            out.update(target=target, loss=F.binary_cross_entropy_with_logits(logits, target))
            loss = F.binary_cross_entropy_with_logits(network(small), target)
            loss.backward()
            F.binary_cross_entropy_with_logits(double(small.double()), target.double()).backward()
            out["small/loss"] = loss
            of_double = dict(double.named_parameters())
            for k in ("conv1.weight", "fc.weight", "bn1.weight"):
                out["small/grad." + k] = dict(network.named_parameters())[k].grad
                tolerance(name, "small/grad." + k, out["small/grad." + k], of_double[k].grad)
        save(name, out, f"full width, {classes} classes, the formula's weights")


def make():
    narrow()
    full()

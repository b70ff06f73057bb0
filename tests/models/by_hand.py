"""The formulas once more, slowly: one sample at a time, one head at a time, without any padding.

The arithmetic of linear maps, normalisations and convolutions is torch's; how they are put together is
written anew from the equations.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def attention(module: nn.Module, query_QC: Tensor, source_SC: Tensor) -> Tensor:
    """Scaled dot-product attention of one sample."""
    queries = module.query(query_QC)
    keys, values = module.key_value(source_SC).chunk(2, dim=-1)
    return module.output(by_head(queries, keys, values, module.heads, (queries.shape[-1] / module.heads) ** -0.5))


def by_head(queries: Tensor, keys: Tensor, values: Tensor, heads: int, scale: float) -> Tensor:
    """`softmax(scale * q k^T) v` on contiguous blocks of the channels."""
    block = queries.shape[-1] // heads
    outputs = []
    for head in range(heads):
        part = slice(head * block, (head + 1) * block)
        exponentials = (scale * queries[:, part] @ keys[:, part].T).exp()
        outputs.append(exponentials / exponentials.sum(1, keepdim=True) @ values[:, part])
    return torch.cat(outputs, dim=1)


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def gated(gate: nn.Module, fused_NC: Tensor) -> Tensor:
    """`tanh(L2 ReLU(L1 r)) * r`."""
    first, second = gate[0].weight, gate[2].weight
    return torch.tanh((fused_NC @ first.T).clamp(min=0) @ second.T) * fused_NC


def as_pixels(features_CHW: Tensor) -> Tensor:
    """(C, H, W) -> (N, C), row by row."""
    return torch.stack([row[:, column] for row in features_CHW.unbind(1) for column in range(row.shape[1])])


def as_map(pixels_NC: Tensor, height: int, width: int) -> Tensor:
    """(N, C) -> (C, H, W)."""
    return torch.stack([pixels_NC[row * width : (row + 1) * width].T for row in range(height)], dim=1)


def pixel_word_attention(module: nn.Module, visual_CHW: Tensor, words_TD: Tensor) -> tuple[Tensor, Tensor]:
    """What LAVT's module gives to the next stage and to the decoder, both (C, H, W)."""
    channels, height, width = visual_CHW.shape
    x = as_pixels(visual_CHW)
    query = whiten(module.query(x))
    attended = by_head(query, module.key(words_TD), module.value(words_TD), module.heads, channels**-0.5)
    product = gelu(module.visual_projection(x)) * whiten(module.attended_projection(attended))
    fused = gelu(module.fusion_projection(product))
    onwards = x if module.is_last else x + gated(module.gate, fused)
    return as_map(onwards, height, width), as_map(module.norm(fused), height, width)


def whiten(pixels_NC: Tensor) -> Tensor:
    """Instance normalisation: mean 0 and (biased) variance 1 over the pixels."""
    centred = pixels_NC - pixels_NC.mean(0)
    return centred / (centred.square().mean(0) + 1e-5).sqrt()


def batch_norm(module: nn.Module, features: Tensor) -> Tensor:
    """BatchNorm over all dimensions but the second: of the batch's own statistics in training."""
    per_channel = features.movedim(1, 0).flatten(1)
    mean, variance = module.running_mean, module.running_var
    if module.training:
        mean = per_channel.mean(1)
        variance = (per_channel - mean[:, None]).square().mean(1)
    scale = module.weight / (variance + 1e-5).sqrt()
    normalised = (per_channel - mean[:, None]) * scale[:, None] + module.bias[:, None]
    return normalised.unflatten(1, features.movedim(1, 0).shape[1:]).movedim(0, 1)


def feature_selection(module: nn.Module, visual_CHW: Tensor, sentence_D: Tensor) -> Tensor:
    """`V + a_micro * micro + a_macro * macro` of one sample, both branches present."""
    convolution = module.macro
    macro = torch.nn.functional.conv2d(
        visual_CHW,
        convolution.weight,
        convolution.bias,
        padding=convolution.step * (convolution.kernel_size[0] // 2),
        dilation=convolution.step,
        groups=len(visual_CHW),
    )
    macro = macro + visual_CHW.mean((1, 2))[:, None, None]
    micro = module.micro(visual_CHW)
    hidden = module.squeeze((micro + macro).mean((1, 2)))
    if module.sentence is not None:
        hidden = hidden + module.sentence.weight @ sentence_D
    scores = module.weigh[1](gelu(hidden))
    macro_score, micro_score = scores[: len(macro)], scores[len(macro) :]
    of_macro = torch.sigmoid(macro_score - micro_score)[:, None, None]
    return visual_CHW + of_macro * macro + (1 - of_macro) * micro


def bidirectional_alignment(module: nn.Module, visual_CHW: Tensor, words_TD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What SBANet's module makes of one sample: the next stage's map, the words, the fused map."""
    height, width = visual_CHW.shape[1:]
    selected = feature_selection(module.select, visual_CHW, words_TD.mean(0))
    pixels, normed_words = module.pixel_norm(as_pixels(selected)), module.word_norm(words_TD)
    visual_tokens, sources = pixels, []
    if module.gather is not None:
        gather = module.gather
        queries = gather.queries + attention(gather.from_words, gather.query_norm(gather.queries), normed_words)
        queries = queries + attention(gather.from_pixels, gather.token_norm(queries), pixels)
        visual_tokens = gather.output_norm(queries)
        sources = [visual_tokens]
    if module.to_language is not None:
        update = attention(module.to_language.attention, normed_words, visual_tokens)
        norm, widen, _, _, narrow = module.to_language.feed_forward
        update = update + narrow(gelu(widen(norm(update))))
        words_TD = words_TD + module.to_language.scale * update
        normed_words = module.updated_word_norm(words_TD)
    sources = torch.cat([*sources, module.word_projection(normed_words)])
    attended = attention(module.read, pixels, sources)
    fused = gelu(module.fusion_projection(gelu(module.pixel_projection(pixels)) * attended))
    onwards = as_pixels(visual_CHW)
    if module.gate is not None:
        onwards = onwards + gated(module.gate, fused)
    return as_map(onwards, height, width), words_TD, as_map(module.fused_norm(fused), height, width)

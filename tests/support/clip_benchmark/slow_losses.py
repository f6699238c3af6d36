"""The losses again, in NumPy, pair by pair and without a matrix product: an independent second opinion."""

import math

import numpy as np


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def cross_entropy(logits, wanted):
    return -(logits[wanted] - math.log(sum(math.exp(value) for value in logits)))


def one_way(queries, keys, scale, first_row):
    losses = []
    for row, query in enumerate(queries):
        logits = [scale * float(np.dot(query, key)) for key in keys]
        losses.append(cross_entropy(logits, first_row + row))
    return sum(losses) / len(losses)


def image_text(images, texts, all_images, all_texts, scale, first_row):
    to_text = one_way(images, all_texts, scale, first_row)
    return (to_text + one_way(texts, all_images, scale, first_row)) / 2


def nt_xent(first, second, all_first, all_second, temperature, first_row):
    losses = []
    views = ((first, all_second, all_first), (second, all_first, all_second))
    for anchors, others, same in views:
        for row, anchor in enumerate(anchors):
            itself = first_row + row
            candidates = [float(anchor @ other) / temperature for other in others]
            candidates += [float(anchor @ other) / temperature for place, other in enumerate(same) if place != itself]
            losses.append(cross_entropy(candidates, itself))
    return sum(losses) / len(losses)


def cosine(first, second):
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def simsiam(predicted, projected):
    pairs = [*zip(predicted[0], projected[1], strict=True), *zip(predicted[1], projected[0], strict=True)]
    return -sum(cosine(prediction, target) for prediction, target in pairs) / len(pairs)


def masked_words(logits, words):
    return sum(cross_entropy(row, word) for row, word in zip(logits, words, strict=True)) / len(words)


def selected(tokens, others, valid, others_valid, count):
    chosen = []
    counts = [count] * len(tokens) if isinstance(count, int) else count
    for own, other, own_valid, other_valid, wanted in zip(tokens, others, valid, others_valid, counts, strict=True):
        sums = []
        for place, token in enumerate(own):
            agreement = sum(float(token @ one) for one, usable in zip(other, other_valid, strict=True) if usable)
            sums.append((agreement if own_valid[place] else -math.inf, -place))
        ranked = sorted(range(len(own)), key=lambda place: sums[place], reverse=True)
        chosen.append(ranked[:wanted])
    return chosen


def token_similarity(query, query_valid, key, key_valid):
    best = []
    for token, counts in zip(query, query_valid, strict=True):
        if counts:
            best.append(max(float(token @ one) for one, usable in zip(key, key_valid, strict=True) if usable))
    return sum(best) / len(best)


def token_direction(queries, queries_valid, keys, keys_valid, chosen, scale, first_row):
    losses = []
    for row, (query, query_valid) in enumerate(zip(queries, queries_valid, strict=True)):
        logits = [
            scale * token_similarity(query, query_valid, key[places], key_valid[places])
            for key, key_valid, places in zip(keys, keys_valid, chosen, strict=True)
        ]
        losses.append(cross_entropy(logits, first_row + row))
    return sum(losses) / len(losses)

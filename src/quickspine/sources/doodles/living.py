"""Stroke programs of what grows, swims and purrs."""

from __future__ import annotations

import math

import numpy as np

from quickspine.sources.doodles.hand import Hand
from quickspine.sources.doodles.strokes import Stroke, arc, curve, line, mirrored


def apple(hand: Hand) -> list[Stroke]:
    """A round fruit with a dent, a stem, mostly a leaf, sometimes a bite."""
    wide, dent = hand.between(40, 50), hand.between(4, 14)
    if hand.chance(0.12):  # with a bite on the right
        body = curve(
            *((38, -18), (30, -34), (14, -38), (0, -34 + dent), (-14, -39), (-34, -34)),
            *((-46, -6), (-36, 30), (-16, 44), (0, 40), (16, 44), (32, 30), (38, 14)),
        )
        strokes = [body, curve((38, -18), (26, -12), (22, -2), (26, 8), (38, 14))]
    elif hand.chance(0.25):
        strokes = [hand.loop((0, 2), wide, hand.between(38, 45))]
        dent = 0
    else:
        base = hand.between(34, 42)
        body = curve(
            *((0, -34 + dent), (-14, -40), (-0.78 * wide, -34), (-wide, -6), (-0.8 * wide, 26)),
            *((-16, 44), (0, base), (16, 44), (0.8 * wide, 26), (wide, -6), (0.78 * wide, -34)),
            *((14, -40), (0, -34 + dent)),
        )
        strokes = [body]
    top = -36 + dent
    tip = hand.near(5, 6)
    if hand.chance(0.93):
        strokes += [curve((0, top), (0.3 * tip, top - 11), (tip, top - hand.between(18, 26)))]
    if hand.chance(0.65):
        out, up = hand.between(20, 32), hand.between(14, 24)
        leaf = curve(
            *((1, top - 9), (0.4 * out, top - 9 - up), (out, top - 7 - up)),
            *((0.75 * out, top - 8), (1, top - 9)),
        )
        strokes += [leaf if hand.chance(0.8) else leaf * (-1, 1)]
    return strokes


def cat(hand: Hand) -> list[Stroke]:
    """A face with ears, eyes and whiskers; or the whole animal from the side."""
    if hand.chance(0.2):
        return _whole_cat(hand)
    return _cat_face(hand, hand.chance(0.4))


def _cat_face(hand: Hand, one_line: bool) -> list[Stroke]:
    wide, tall = hand.between(38, 48), hand.between(32, 42)
    ear, tip = hand.between(14, 26), hand.between(0.75, 0.95) * wide
    if one_line:  # ears and cheeks in one go
        outline = curve(
            *((-0.3 * wide, -0.85 * tall), (0.0, -0.88 * tall), (0.3 * wide, -0.85 * tall)),
        )
        right = line((0.3 * wide, -0.85 * tall), (tip, -tall - ear), (0.92 * wide, -0.35 * tall))
        cheeks = arc((0, 0), wide, tall, -20, 220)
        strokes = [outline, right, cheeks, mirrored([right])[0]]
    else:
        right = line((0.28 * wide, -0.95 * tall), (tip, -tall - ear), (0.9 * wide, -0.45 * tall))
        strokes = [hand.loop((0, 0), wide, tall), *mirrored([right]), right]
    eye_x, eye_y = hand.between(0.3, 0.45) * wide, -hand.between(0.1, 0.35) * tall
    kind = hand.pick((5.0, "dots"), (4.0, "rings"), (1.0, "none"))
    for x in (-eye_x, eye_x):
        if kind == "dots":
            strokes += [line((x, eye_y), (x, eye_y + hand.between(0, 5)))]
        elif kind == "rings":
            strokes += [hand.loop((x, eye_y), hand.between(4, 7), hand.between(4, 8))]
    nose = 0.15 * tall
    if hand.chance(0.75):
        strokes += [line((-4, nose), (4, nose), (0, nose + 6), (-4, nose))]
    if hand.chance(0.6):
        low = nose + hand.between(14, 18)
        strokes += [curve((-13, low - 4), (-6, low), (0, nose + 6), (6, low), (13, low - 4))]
    whiskers, slope = hand.pick((1.5, 0), (2.0, 2), (5.0, 3)), hand.between(3, 9)
    reach = hand.between(0.95, 1.4) * wide
    for k in range(whiskers):
        y = (k - (whiskers - 1) / 2) * slope
        whisker = line((0.35 * wide, nose + 3 + 0.5 * y), (reach, nose + 3 + 2.2 * y))
        strokes += [whisker, *mirrored([whisker])]
    return strokes


def _whole_cat(hand: Hand) -> list[Stroke]:
    """Body, head with ears, legs, and a tail held high."""
    head = (-40.0, -16.0)
    size = hand.between(14, 19)
    strokes = [
        hand.loop((4, 4), hand.between(30, 36), hand.between(15, 20)),
        hand.loop(head, size, size),
        line((-40 - 0.9 * size, -20), (-40 - 0.85 * size, -20 - 1.4 * size), (-43, -15 - size)),
        line((-37, -15 - size), (-40 + 0.85 * size, -20 - 1.4 * size), (-40 + 0.9 * size, -20)),
        curve((35, 0), (48, -8), (46, -26), (hand.between(44, 58), -40)),
    ]
    foot = hand.between(38, 46)
    strokes += [line((x, 18), (x + hand.near(0, 2), foot)) for x in (-18, -8, 16, 26)]
    strokes += [line((-46, -18), (-46, -17)), line((-36, -18), (-36, -17))]
    strokes += [line((-45, -9), (-62, -12)), line((-45, -8), (-62, -5))]
    return strokes if hand.chance(0.6) else mirrored(strokes)


def fish(hand: Hand) -> list[Stroke]:
    """An oval with a tail, or the one line that crosses itself; eye, mouth, fins, scales."""
    tall, tail = hand.between(18, 30), hand.between(14, 26)
    if hand.chance(0.5):
        body = curve(
            *((56, -tail), (30, 0), (6, 0.85 * tall), (-18, tall), (-42, 0.62 * tall), (-52, 0)),
            *((-42, -0.62 * tall), (-18, -tall), (6, -0.85 * tall), (30, 0), (56, tail)),
        )
        strokes = [body]
        if hand.chance(0.8):
            strokes += [curve((56, -tail), (hand.between(46, 54), 0), (56, tail))]
    else:
        strokes = [hand.loop((-12, 0), 40, tall)]
        strokes += hand.closed((27, 0), (54, -tail), (54 - hand.between(0, 8), tail))
    if hand.chance(0.9):
        eye = (-36.0, -0.2 * tall)
        strokes += [hand.loop(eye, 4, 4) if hand.chance(0.5) else line(eye)]
    if hand.chance(0.45):
        strokes += [curve((-50, 5), (-43, 9), (-36, 6))]
    if hand.chance(0.35):
        strokes += [line((-20, -0.95 * tall), (-2, -1.5 * tall), (8, -0.85 * tall))]
    if hand.chance(0.3):
        strokes += [curve((-10, 2), (4, 0), (2, 10), (-8, 8))]
    if hand.chance(0.2):
        strokes += [arc((x, 0), 6, 0.5 * tall, -80, 160) for x in (-24, -10, 4)]
    return strokes if hand.chance(0.6) else mirrored(strokes)


def tree(hand: Hand) -> list[Stroke]:
    """A trunk under a cloud of leaves, a fir, or bare branches."""
    kind = hand.pick((5.0, "cloud"), (1.5, "ball"), (2.5, "fir"), (1.0, "bare"))
    half, foot = hand.between(4, 10), hand.between(42, 52)
    if kind == "bare":
        strokes = [line((-half, 50), (-half, 0)), line((half, 50), (half, 0))]
        for side in (-1, 1):
            reach = side * hand.between(26, 40)
            strokes += [
                line((side * half, 0), (reach, -34)),
                line((0.5 * reach, -12), (1.15 * reach, -14)),
                line((side * 1.0, -8), (0.35 * reach, -48)),
            ]
        return strokes
    trunk = [line((-half, 8), (-half * 1.2, foot)), line((half, 8), (half * 1.2, foot))]
    if hand.chance(0.5):
        trunk += [line((-half * 1.2, foot), (half * 1.2, foot))]
    if kind == "ball":
        return [hand.loop((0, -20), hand.between(26, 36), hand.between(26, 33)), *trunk]
    if kind == "fir":
        tiers = hand.count(1, 4)
        strokes = []
        for k in range(tiers):
            wide, low = 18 + 20 * (k + 1) / tiers, -50 + 62 * (k + 1) / tiers
            tip = -50 + 62 * k / tiers - (8 if k else 0)
            strokes += [line((-wide, low), (0, tip), (wide, low), (-wide, low))]
        return strokes + [stroke + np.array((0, 4)) for stroke in trunk]
    lobes = hand.count(5, 8)
    wide, tall = hand.between(28, 38), hand.between(22, 28)
    strokes = []
    for k in range(lobes):
        at = 90 + 360 * (k + 0.5) / lobes
        x, y = wide * math.cos(math.radians(at)), tall * math.sin(math.radians(at))
        size = (wide + tall) / 2 * math.sin(math.pi / lobes) * hand.between(0.95, 1.25)
        strokes += [arc((x, y - 22), size, size, at - 95, 190)]
    return [np.concatenate([*strokes, strokes[0][:1]]), *trunk]

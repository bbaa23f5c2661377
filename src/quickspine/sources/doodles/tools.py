"""Stroke programs of things to ride, play, climb, open, hit and write with."""

from __future__ import annotations

import math

from quickspine.sources.doodles.hand import Hand
from quickspine.sources.doodles.strokes import Stroke, arc, curve, line, mirrored, turned


def _any_way(hand: Hand, strokes: list[Stroke]) -> list[Stroke]:
    """Things that lie about: upright, across, or slanting, either way round."""
    angle = hand.pick((3.0, 0.0), (2.0, 90.0), (2.5, 45.0), (2.5, -45.0))
    if hand.chance(0.25):
        angle += 180
    return turned(strokes, angle + hand.near(0, 9))


def bicycle(hand: Hand) -> list[Stroke]:
    """Two wheels and what joins them: the frame, saddle, handlebar."""
    size = hand.between(17, 24)
    apart = hand.between(26, 34)
    strokes = [hand.loop((-apart, 20), size, size), hand.loop((apart, 20), size, size)]
    seat, bar = (-0.35 * apart, -18.0), (0.7 * apart, hand.between(-26, -16))
    if hand.chance(0.2):  # a bare outline
        strokes += [line((-apart, 20), seat, bar, (apart, 20))]
    else:
        pedals = (-0.05 * apart, 20.0)
        strokes += [
            line((-apart, 20), (-0.28 * apart, -10), (0.76 * apart, -10), pedals, (-apart, 20)),
            line(pedals, seat),
            line((apart, 20), bar),
        ]
    if hand.chance(0.9):
        strokes += [line((seat[0] - 7, seat[1]), (seat[0] + 7, seat[1]))]
    turn = hand.between(8, 14)
    if hand.chance(0.7):
        strokes += [line((bar[0] - turn, bar[1] - 3), bar, (bar[0] + 0.3 * turn, bar[1] + 1))]
    else:
        strokes += [
            curve((bar[0], bar[1]), (bar[0] + turn, bar[1] - 3), (bar[0] + turn, bar[1] + 8))
        ]
    if hand.chance(0.2):
        for x in (-apart, apart):
            strokes += [line((x - size, 20), (x + size, 20)), line((x, 20 - size), (x, 20 + size))]
    return strokes if hand.chance(0.6) else mirrored(strokes)


def guitar(hand: Hand) -> list[Stroke]:
    """A waisted body with a hole, a long neck, a head with pegs, strings."""
    top, waist, low = hand.between(15, 19), hand.between(10, 14), hand.between(21, 27)
    if hand.chance(0.7):
        half = curve(
            *((0, -6), (-0.7 * top, -5), (-top, 6), (-waist, 17)),
            *((-low, 34), (-0.7 * low, 50), (0, 54)),
        )
        strokes = [half, *mirrored([half])]
    else:
        strokes = [hand.loop((0, 36), low, 19), hand.loop((0, 6), top, 13)]
    neck, nut = hand.between(2.5, 4.5), hand.between(-58, -46)
    if hand.chance(0.8):
        strokes += [line((-neck, -5), (-neck, nut)), line((neck, -5), (neck, nut))]
    else:
        strokes += [line((0, 20), (0, nut))]
    head = hand.between(5, 8)
    strokes += hand.box(-head, nut - 16, head, nut)
    if hand.chance(0.8):
        strokes += [hand.loop((0, 17), hand.between(6, 9), hand.between(6, 9))]
    if hand.chance(0.6):
        strokes += [line((-8, 40), (8, 40))]
    if hand.chance(0.4):
        strokes += [line((x, 40), (x, nut)) for x in (-1.5, 1.5)]
    if hand.chance(0.35):
        for y in (nut - 13, nut - 5):
            strokes += [line((-head, y), (-head - 5, y)), line((head, y), (head + 5, y))]
    angle = hand.pick((4.0, 0.0), (4.0, 40.0), (2.0, -40.0), (1.0, 90.0))
    return turned(strokes, angle + hand.near(0, 8))


def key(hand: Hand) -> list[Stroke]:
    """A bow with a hole, a shaft, and teeth at its end."""
    size, end = hand.between(13, 20), hand.between(48, 62)
    bow = hand.pick((7.0, "ring"), (1.5, "square"), (1.5, "clover"))
    centre = (-34.0, 0.0)
    if bow == "ring":
        strokes = [hand.loop(centre, size, size * hand.between(0.85, 1.1))]
        if hand.chance(0.55):
            strokes += [hand.loop((-38, 0), 0.4 * size, 0.4 * size)]
    elif bow == "square":
        strokes = hand.box(-34 - size, -size, -34 + size, size)
        strokes += [hand.loop((-38, 0), 0.35 * size, 0.35 * size)]
    else:
        r = 0.55 * size
        strokes = [hand.loop((-34 + 0.8 * r, y), r, r) for y in (-r, r)]
        strokes += [hand.loop((-34 - 0.8 * r, 0), r, r)]
    begin = centre[0] + size
    teeth, deep = hand.count(2, 4), hand.between(9, 15)
    if hand.chance(0.45):  # a shaft of two lines, toothed below
        thick = hand.between(3, 5)
        strokes += [line((begin, -thick), (end, -thick), (end, thick))]
        low = [(end, thick)]
        for k in range(teeth):
            x = end - 11 * k
            low += [(x, thick + deep), (x - 5, thick + deep), (x - 5, thick), (x - 11, thick)]
        strokes += [line(*low, (begin, thick))]
    else:
        strokes += [line((begin, 0), (end, 0))]
        step = hand.between(8, 12)
        strokes += [line((end - step * k, 0), (end - step * k, deep)) for k in range(teeth)]
        if hand.chance(0.25):
            strokes += [line((end, deep), (end - step, deep))]
    if hand.chance(0.3):
        strokes = [stroke * (1, -1) for stroke in strokes]
    return _any_way(hand, strokes)


def ladder(hand: Hand) -> list[Stroke]:
    """Two rails and rungs; leaning, or a stepladder with its second pair of legs."""
    rungs, low, high = hand.count(4, 8), hand.between(12, 20), 0.0
    high = low * hand.between(0.7, 1.0)
    strokes = [line((-low, 50), (-high, -50)), line((low, 50), (high, -50))]
    for k in range(rungs):
        at = (k + 0.7) / (rungs + 0.4)
        half = low + (high - low) * at + hand.near(0.5, 1.0)
        strokes += [line((-half, 50 - 100 * at), (half, 50 - 100 * at + hand.near(0, 1.5)))]
    kind = hand.pick((6.0, "upright"), (3.0, "leaning"), (1.2, "stepladder"))
    if kind == "upright":
        return strokes
    angle = hand.between(14, 38)
    leaning = turned(strokes, angle)
    if kind == "stepladder":
        a = math.radians(angle)
        x, y = 50 * math.sin(a), -50 * math.cos(a)
        leaning += [line((x, y), (x + 26, -y)), line((x + high, y + 4), (x + 26 + low, -y))]
    return leaning if hand.chance(0.5) else mirrored(leaning)


def nail(hand: Hand) -> list[Stroke]:
    """A flat head on a pointed shaft; or a fingernail on its finger."""
    if hand.chance(0.1):
        return _fingernail(hand)
    head, half = hand.between(14, 26), hand.between(3.5, 7.5)
    top = hand.between(5, 9)
    strokes = hand.pick(
        (4.0, [hand.loop((0, -45), head, top)]),
        (3.0, hand.box(-head, -50, head, -50 + top)),
        (3.0, [line((-head, -46), (head, -46))]),
    )
    start = -45 + top if len(strokes[0]) > 2 else -46
    point = hand.between(26, 40)
    if hand.chance(0.75):
        strokes += [line((-half, start), (-half, point), (0, 52), (half, point), (half, start))]
    else:
        strokes += [line((-half, start), (0, 52)), line((half, start), (0, 52))]
    if hand.chance(0.2):
        strokes += [line((-half, start + k), (half, start + k)) for k in (8, 15, 22)]
    angle = hand.pick((6.0, 0.0), (2.0, 40.0), (2.0, -40.0), (1.0, 90.0), (0.6, 180.0))
    return turned(strokes, angle + hand.near(0, 8))


def _fingernail(hand: Hand) -> list[Stroke]:
    wide = hand.between(20, 26)
    nail_wide = 0.66 * wide
    return [
        line((-wide, 50), (-wide, -24)),
        arc((0, -24), wide, 26, 180, 180),
        line((wide, -24), (wide, 50)),
        arc((0, -22), nail_wide, 18, 180, 180),
        curve((-nail_wide, -22), (-nail_wide, -2), (0, 6), (nail_wide, -2), (nail_wide, -22)),
        curve((-0.5 * wide, 26), (0, 29), (0.5 * wide, 26)),
    ]


def pencil(hand: Hand) -> list[Stroke]:
    """A long barrel, a sharpened end with its lead, an eraser."""
    half, cone = hand.between(7, 13), hand.between(15, 24)
    neck = 54 - cone
    strokes = hand.box(-50, -half, neck, half)
    strokes += [line((neck, -half), (54, 0), (neck, half))]
    if hand.chance(0.7):
        lead = 54 - 0.35 * cone
        strokes += [line((lead, -0.35 * half), (lead, 0.35 * half))]
    rubber = hand.pick((2.0, "none"), (4.0, "band"), (3.0, "round"))
    if rubber != "none":
        strokes += [line((-36, -half), (-36, half))]
        if hand.chance(0.5):
            strokes += [line((-41, -half), (-41, half))]
    if rubber == "round":
        strokes += [arc((-50, 0), 9, half, 90, 180)]
    if hand.chance(0.55):
        lines = hand.pick((1.0, (0.0,)), (1.0, (-0.35, 0.35)))
        strokes += [line((-36, y * half), (neck, y * half)) for y in lines]
    return _any_way(hand, strokes)

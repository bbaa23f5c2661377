"""Stroke programs of buildings, and of what is carried out of them."""

from __future__ import annotations

from quickspine.sources.doodles.hand import Hand
from quickspine.sources.doodles.strokes import Stroke, arc, curve, line, turned


def envelope(hand: Hand) -> list[Stroke]:
    """A rectangle with a flap; sometimes the folds below, a seal or an open flap."""
    high = hand.between(26, 38)
    strokes = hand.box(-50, -high, 50, high)
    flap = hand.between(-0.1, 0.5) * high
    if hand.chance(0.08):
        strokes += [line((-50, -high), (0, -high - 34), (50, -high))]
    if hand.chance(0.7):
        strokes += [line((-50, -high), (0, flap), (50, -high))]
    else:
        strokes += [line((-50, -high), (0, flap)), line((50, -high), (0, flap))]
    if hand.chance(0.35):
        inner = hand.between(10, 20)
        strokes += [line((-50, high), (-inner, 0.3 * flap)), line((50, high), (inner, 0.3 * flap))]
    if hand.chance(0.08):
        strokes += [hand.loop((0, flap), 6, 6)]
    return strokes


def house(hand: Hand) -> list[Stroke]:
    """Walls, a roof, mostly a door; windows, a chimney; or seen from a corner."""
    wide, top, eaves = hand.between(30, 42), hand.between(-14, -4), hand.between(0, 10)
    tip = hand.between(-52, -40)
    if hand.chance(0.15):
        return _corner_house(hand)
    if hand.chance(0.25):  # in one go
        strokes = [line((-wide, 48), (-wide, top), (0, tip), (wide, top), (wide, 48), (-wide, 48))]
        if hand.chance(0.6):
            strokes += [line((-wide, top), (wide, top))]
    else:
        strokes = hand.box(-wide, top, wide, 48)
        strokes += hand.closed((-wide - eaves, top), (0, tip), (wide + eaves, top))
    door, lintel = hand.between(6, 10), hand.between(14, 24)
    x = hand.pick((3.0, 0.0), (1.0, -0.45 * wide), (1.0, 0.45 * wide))
    if hand.chance(0.85):
        strokes += [line((x - door, 48), (x - door, lintel), (x + door, lintel), (x + door, 48))]
    if hand.chance(0.5):
        for at in (-0.55 * wide, 0.55 * wide):
            if abs(at - x) > 16 and hand.chance(0.85):
                strokes += hand.box(at - 7, top + 8, at + 7, top + 22)
                if hand.chance(0.4):
                    strokes += [line((at, top + 8), (at, top + 22))]
                    strokes += [line((at - 7, top + 15), (at + 7, top + 15))]
    if hand.chance(0.35):
        left, slope = 0.45 * wide, (top - tip) / (wide + eaves)
        low = tip + slope * left
        right = left + hand.between(8, 12)
        up = low - hand.between(12, 20)
        strokes += [line((left, low), (left, up), (right, up), (right, tip + slope * right))]
    return strokes


def _corner_house(hand: Hand) -> list[Stroke]:
    front, tip, back = hand.between(-14, -4), hand.between(-44, -36), hand.between(44, 54)
    return [
        line((-50, 42), (-50, -6), (front, -6), (front, 42), (-50, 42)),
        line((-50, -6), ((front - 50) / 2, tip), (front, -6)),
        line(((front - 50) / 2, tip), (back - 18, tip), (back, -6), (front, -6)),
        line((back, -6), (back, 42), (front, 42)),
        line((-38, 42), (-38, 18), (-26, 18), (-26, 42)),
    ]


def jail(hand: Hand) -> list[Stroke]:
    """Bars in a frame, alone or with a prisoner behind them or a lock."""
    wide, high = hand.between(34, 50), hand.between(34, 50)
    bars = hand.count(3, 7)
    framed = hand.chance(0.8)
    if framed:
        strokes = hand.box(-wide, -high, wide, high)
    else:
        strokes = [line((-wide, y), (wide, y)) for y in (-0.75 * high, 0.75 * high)]
    xs = [wide * (2 * (k + 1) / (bars + 1) - 1) for k in range(bars)]
    extra = hand.pick((6.0, "none"), (2.0, "prisoner"), (1.0, "lock"), (1.0, "rail"))
    if extra == "prisoner":
        strokes += [hand.loop((0, -0.35 * high), 9, 9), line((0, -0.15 * high), (0, 0.5 * high))]
        strokes += [line((-14, 0.1 * high), (0, 0), (14, 0.1 * high))]
    strokes += [line((x, -high), (x + hand.near(0, 1), high)) for x in xs]
    if extra == "lock":
        strokes += hand.box(0.7 * wide, -6, 0.7 * wide + 11, 8)
    if extra == "rail":
        strokes += [line((-wide, 0), (wide, 0))]
    return strokes


def umbrella(hand: Hand) -> list[Stroke]:
    """A canopy, plain or scalloped, on a stick with a hook."""
    tall, hook = hand.between(34, 50), hand.between(6, 11)
    strokes = [arc((0, 0), 50, tall, 180, 180)]
    scallops = hand.pick((3.0, 1), (2.0, 3), (3.0, 4), (2.0, 5))
    if scallops == 1:
        strokes += [line((-50, 0), (50, 0))]
    else:
        wide = 50 / scallops
        strokes += [arc((-50 + wide * (2 * k + 1), 0), wide, 0.6 * wide, 180, 180)
                    for k in range(scallops)]  # fmt: skip
        if hand.chance(0.4):
            strokes += [curve((0, -tall), (0.5 * x, -0.7 * tall), (x, 0))
                        for x in (-50 + 2 * wide * k for k in range(1, scallops))]  # fmt: skip
    low = hand.between(36, 50)
    side = -1 if hand.chance(0.7) else 1
    stick = line((0, 0 if hand.chance(0.6) else -tall), (0, low))
    handle = arc((side * hook, low), hook, hook, 0 if side < 0 else 180, -side * 180)
    strokes += [stick, handle]
    if hand.chance(0.3):
        strokes += [line((0, -tall), (0, -tall - 8))]
    return turned(strokes, hand.near(0, 18) if hand.chance(0.3) else 0)

"""Stroke programs of what is served or stands on a table."""

from __future__ import annotations

from quickspine.sources.doodles.hand import Hand
from quickspine.sources.doodles.strokes import Stroke, arc, curve, line, mirrored


def ice_cream(hand: Hand) -> list[Stroke]:
    """A cone with one to three scoops or soft ice; or an ice lolly."""
    if hand.chance(0.1):
        wide = hand.between(18, 24)
        bar = arc((0, -24), wide, 24, 180, 180)
        return [
            line((-wide, -24), (-wide, 24), (wide, 24), (wide, -24)),
            bar,
            line((-5, 24), (-5, 50), (5, 50), (5, 24)),
        ]
    wide = hand.between(20, 29)
    strokes = hand.closed((-wide, 0), (wide, 0), (0, hand.between(48, 58)))
    top = hand.pick((6.0, "scoop"), (2.0, "scoops"), (2.0, "soft"))
    if top == "scoop":
        tall = hand.between(26, 38)
        strokes += [arc((0, 0), wide * hand.between(1, 1.2), tall, 175, 190)]
    elif top == "scoops":
        size = hand.between(15, 19)
        strokes += [
            hand.loop((-0.6 * wide, -13), size, size),
            hand.loop((0.6 * wide, -13), size, size),
        ]
        if hand.chance(0.6):
            strokes += [hand.loop((0, -36), size, size)]
    else:
        strokes += [
            curve((-wide, 0), (-wide - 6, -9), (-wide, -16), (0, -18), (wide, -16), (wide + 6, -8)),
            curve(
                (-0.8 * wide, -17),
                (-0.9 * wide, -28),
                (0, -32),
                (0.9 * wide, -27),
                (0.8 * wide, -16),
            ),
            curve((-0.5 * wide, -31), (-4, -44), (3, -54), (8, -44), (0.5 * wide, -30)),
        ]
    if hand.chance(0.55):  # the waffle
        for k in range(hand.count(1, 3)):
            x, y = wide * (0.55 - 0.4 * k), 14.0 * k
            waffle = line((x, 0), (-0.62 * wide + 0.62 * y * 0.5, 18 + y))
            strokes += [waffle, *mirrored([waffle])]
    if hand.chance(0.12):
        strokes += [hand.loop((0, -44 if top == "scoop" else -58), 5, 5)]
    return strokes


def vase(hand: Hand) -> list[Stroke]:
    """A belly, a neck and a lip, of many profiles; often with flowers."""
    lip, neck = hand.between(12, 24), hand.between(8, 16)
    belly, foot = hand.between(22, 36), hand.between(12, 20)
    at = hand.between(-2, 22)
    kind = hand.pick((6.0, "curved"), (2.0, "straight"), (1.5, "amphora"))
    if kind == "straight":
        left = line((-lip - 10, -40), (-lip, 48))
    else:
        left = curve((-lip, -40), (-neck, -26), (-belly, at), (-foot - 3, 40), (-foot, 48))
    bottom = lip if kind == "straight" else foot
    top = lip + 10 if kind == "straight" else lip
    strokes = [left, *mirrored([left]), line((-bottom, 48), (bottom, 48))]
    if hand.chance(0.55):
        strokes += [hand.loop((0, -40), top, hand.between(3, 6))]
    else:
        strokes += [line((-top, -40), (top, -40))]
    if kind == "amphora":
        handle = curve((-neck - 1, -30), (-belly - 6, -30), (-belly - 4, -8), (-belly + 3, at - 8))
        strokes += [handle, *mirrored([handle])]
    if hand.chance(0.3):
        strokes += [line((-0.9 * belly, at), (0.9 * belly, at))] if kind != "straight" else []
    if hand.chance(0.45):
        for k in range(hand.count(1, 3)):
            x, y = (0, -26, 24)[k] + hand.near(0, 4), hand.between(-82, -66)
            strokes += [curve((0.2 * x, -42), (0.6 * x, 0.5 * (y - 40)), (x, y + 8))]
            strokes += [hand.loop((x, y), hand.between(6, 10), hand.between(6, 10))]
    return strokes


def wine_glass(hand: Hand) -> list[Stroke]:
    """A bowl on a stem on a foot; often with wine in it."""
    wide, deep = hand.between(20, 30), hand.between(-4, 10)
    foot, rim = hand.between(15, 26), hand.between(0.72, 1.0) * wide
    kind = hand.pick((6.0, "round"), (3.0, "tulip"), (1.0, "cocktail"))
    if kind == "cocktail":
        rim, deep = wide * 1.3, 0
        bowl = line((-rim, -50), (0, deep), (rim, -50))
    elif kind == "round":
        bowl = curve((-rim, -50), (-wide, -24), (-0.6 * wide, deep - 6), (0, deep),
                     (0.6 * wide, deep - 6), (wide, -24), (rim, -50))  # fmt: skip
    else:
        bowl = curve((-wide, -50), (-0.95 * wide, -22), (0, deep), (0.95 * wide, -22), (wide, -50))
        rim = wide
    strokes = [bowl]
    if hand.chance(0.4):
        strokes += [hand.loop((0, -50), rim, hand.between(3, 6))]
    else:
        strokes += [line((-rim, -50), (rim, -50))]
    if hand.chance(0.8):
        strokes += [line((0, deep), (0, 46))]
    else:
        strokes += [line((-3, deep), (-3, 44)), line((3, deep), (3, 44))]
    if hand.chance(0.65):
        strokes += [line((-foot, 48), (foot, 48))]
    else:
        strokes += [hand.loop((0, 48), foot, hand.between(3, 7))]
    if hand.chance(0.5) and kind != "cocktail":
        level = hand.between(-36, -20)
        strokes += [
            curve((-0.95 * wide, level), (0, level + hand.near(2, 2)), (0.95 * wide, level))
        ]
    return strokes

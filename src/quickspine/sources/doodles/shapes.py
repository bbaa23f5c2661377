"""Stroke programs of shapes and of things in the sky."""

from __future__ import annotations

import math

from quickspine.sources.doodles.hand import Hand
from quickspine.sources.doodles.strokes import Point, Stroke, arc, curve, line, mirrored, turned


def _around(hand: Hand, corners: int, start: float, uneven: float = 0.0) -> list[Point]:
    """Corners on a circle of radius 50, from angle `start`, each off by `uneven` degrees."""
    angles = [start + 360 * k / corners + hand.near(0, uneven) for k in range(corners)]
    return [(50 * math.cos(math.radians(a)), 50 * math.sin(math.radians(a))) for a in angles]


def diamond(hand: Hand) -> list[Stroke]:
    """A cut gem from the side, or the rhombus of playing cards."""
    if hand.chance(0.25):
        wide = hand.between(24, 42)
        return hand.closed((0, -50), (wide, 0), (0, 50), (-wide, 0))
    table, girdle, top = hand.between(22, 36), hand.between(-22, -8), hand.between(-42, -32)
    outline = hand.closed((-table, top), (table, top), (50, girdle), (0, 45), (-50, girdle))
    across = line((-50, girdle), (50, girdle))
    inner = hand.between(10, 22)
    facets = hand.pick(
        (3.0, [across]),
        (4.0, [across, line((-inner, girdle), (0, 45), (inner, girdle))]),
        (
            3.0,
            [
                across,
                line((-50, girdle), (-table, top), (-inner, girdle), (0, top), (inner, girdle)),
                line((inner, girdle), (table, top)),
                line((-inner, girdle), (0, 45), (inner, girdle)),
            ],
        ),
        (1.0, []),
    )
    return outline + facets


def octagon(hand: Hand) -> list[Stroke]:
    """Eight corners, sometimes with the rim or the writing of a stop sign."""
    corners = _around(hand, 8, 22.5, 4 * hand.sloppiness)
    start = hand.count(0, 7)
    strokes = hand.closed(*corners[start:], *corners[:start])
    extra = hand.pick((8.0, "none"), (1.0, "rim"), (1.0, "sign"))
    if extra == "rim":
        strokes += [line(*((0.8 * x, 0.8 * y) for x, y in [*corners, corners[0]]))]
    if extra == "sign":
        strokes += [line((-28, 8), (-18, -8), (-8, 8), (2, -8), (12, 8), (24, -8))]
    return strokes


def star(hand: Hand) -> list[Stroke]:
    """Five points: the outline, the pentagram in one go; or six points of two triangles."""
    kind = hand.pick((5.0, "outline"), (5.0, "pentagram"), (0.7, "hexagram"))
    if kind == "hexagram":
        ring = _around(hand, 6, -90, 3)
        return hand.closed(*ring[::2]) + hand.closed(*ring[1::2])
    ring = _around(hand, 5, -90, 3)
    if kind == "pentagram":
        start = hand.count(0, 4)
        order = [ring[(start + 2 * k) % 5] for k in range(6)]
        return [line(*order)]
    depth = hand.between(0.38, 0.55)
    notches = [(-depth * x, -depth * y) for x, y in ring]
    outline = [point for k in range(5) for point in (ring[k], notches[(k + 3) % 5])]
    return [line(*outline, outline[0])]


def zigzag(hand: Hand) -> list[Stroke]:
    """Up and down along a line, few or many times."""
    turns = hand.count(3, 9)
    high = hand.between(14, 42) * (1 if turns < 7 else 0.8)
    step = 100 / turns
    side = -1 if hand.chance(0.5) else 1
    corners = [
        (k * step + hand.near(0, 0.1 * step), side * (-1) ** k * hand.near(high / 2, 0.08 * high))
        for k in range(turns + 1)
    ]
    angle = hand.pick((6.0, 0.0), (3.0, 90.0), (1.0, 45.0), (1.0, -45.0))
    return turned([line(*corners)], angle)


def moon(hand: Hand) -> list[Stroke]:
    """A crescent, plain or with a face or stars; now and then a full moon with craters."""
    if hand.chance(0.14):
        craters = [
            hand.loop((hand.near(0, 16), hand.near(0, 16)), size, size)
            for size in (hand.between(4, 12) for _ in range(hand.count(1, 4)))
        ]
        return [hand.loop((0, 0), 50, 50), *craters]
    opening = hand.between(45, 75)  # degrees on either side of where the horns point
    a = math.radians(opening)
    horn_x, horn_y = 50 * math.cos(a), 50 * math.sin(a)
    depth = hand.between(-34, 8)  # how far in the inner edge reaches
    outer = arc((0, 0), 50, 50, opening, 360 - 2 * opening)
    inner = curve(
        (horn_x, -horn_y),
        (depth + 0.42 * (horn_x - depth), -0.68 * horn_y),
        (depth, 0),
        (depth + 0.42 * (horn_x - depth), 0.68 * horn_y),
        (horn_x, horn_y),
    )
    strokes = [outer, inner]
    if hand.chance(0.1):
        strokes += [line((-22, -12), (-22, -8)), curve((-28, 14), (-22, 20), (-14, 19))]
    if hand.chance(0.08):
        x, y = hand.between(15, 35), hand.between(-15, 15)
        strokes += [line((x - 6, y), (x + 6, y)), line((x, y - 6), (x, y + 6))]
    strokes = turned(strokes, hand.near(-8, 14))
    return mirrored(strokes) if hand.chance(0.35) else strokes


def rainbow(hand: Hand) -> list[Stroke]:
    """Arches within arches, some on clouds or on the ground."""
    arches = hand.count(2, 5)
    inmost = hand.between(14, 26)
    high = hand.between(0.75, 1.15)
    reach = hand.pick((5.0, 180.0), (1.0, 150.0))
    radii = [inmost + (50 - inmost) * k / (arches - 1) for k in range(arches)][::-1]
    start = -90 - reach / 2
    strokes = [arc((0, 0), r, r * high, start, reach) for r in radii]
    foot = hand.pick((6.0, "none"), (3.0, "closed"), (2.0, "clouds"), (1.0, "ground"))
    if foot == "closed":
        strokes += [line((-50, 0), (-inmost, 0)), line((inmost, 0), (50, 0))]
    if foot == "clouds":
        strokes += [_cloud(hand, side * (50 + inmost) / 2) for side in (-1, 1)]
    if foot == "ground":
        strokes += [line((-60, 0), (60, 0))]
    return strokes


def _cloud(hand: Hand, x: float) -> Stroke:
    wide, high = hand.between(16, 24), hand.between(8, 13)
    return curve(
        *((x - wide, high), (x - wide, 0), (x - wide / 2, -high * 0.4), (x - wide / 4, -high)),
        *((x + wide / 4, -high), (x + wide / 2, -high * 0.4), (x + wide, 0), (x + wide, high)),
        *((x, high * 1.2), (x - wide, high)),
    )

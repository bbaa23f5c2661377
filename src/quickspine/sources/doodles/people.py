"""Stroke programs of people: one exercise in several poses."""

from __future__ import annotations

from quickspine.sources.doodles.hand import Hand
from quickspine.sources.doodles.strokes import Stroke, line, mirrored


def yoga(hand: Hand) -> list[Stroke]:
    """A stick figure: the lotus, the tree, the warrior, or the downward dog."""
    pose = hand.pick((5.0, _lotus), (2.5, _tree_pose), (2.0, _warrior), (1.0, _dog))
    strokes = pose(hand)
    return strokes if hand.chance(0.6) else mirrored(strokes)


def _head(hand: Hand, x: float, y: float) -> Stroke:
    size = hand.between(8, 12)
    return hand.loop((x, y), size, size)


def _lotus(hand: Hand) -> list[Stroke]:
    knee, hip = hand.between(34, 46), hand.between(14, 22)
    strokes = [_head(hand, 0, -42), line((0, -32), (0, hip))]
    arm = hand.pick(
        (3.0, line((0, -22), (-24, -8), (-0.8 * knee, hip + 8))),  # hands on the knees
        (2.0, line((0, -22), (-18, -2), (0, -8))),  # palms together
        (2.0, line((0, -22), (-24, -38), (0, -66))),  # palms together, high
    )
    leg = line((0, hip), (-knee, hip + 14), (0.4 * knee, hip + hand.between(16, 22)))
    return [*strokes, arm, *mirrored([arm]), leg, *mirrored([leg])]


def _tree_pose(hand: Hand) -> list[Stroke]:
    up = hand.between(-62, -52)
    return [
        _head(hand, 0, -36),
        line((0, -26), (0, 12)),
        line((0, 12), (0, 55)),
        line((0, 12), (hand.between(16, 24), 24), (1, 34)),
        line((0, -20), (-18, -40), (0, up)),
        line((0, -20), (18, -40), (0, up)),
    ]


def _warrior(hand: Hand) -> list[Stroke]:
    arms = hand.between(-20, -14)
    return [
        _head(hand, 0, -38),
        line((0, -28), (0, 12)),
        line((-42, arms), (42, arms + hand.near(0, 2))),
        line((0, 12), (-28, 16), (-28, 46), (-36, 46)),
        line((0, 12), (hand.between(38, 50), 46)),
    ]


def _dog(hand: Hand) -> list[Stroke]:
    hips = hand.between(-34, -24)
    return [
        line((-50, 34), (0, hips)),
        line((0, hips), (40, 34), (50, 34)),
        _head(hand, -26, 22),
        line((-50, 34), (-56, 34)),
    ]

"""Images as a detection logs them: shelves with boxes of goods, drawn, and what a model finds there."""

from __future__ import annotations

from random import Random

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 480, 320
_FOUND = {"carton": "#ffb000", "pallet": "#19c3ff"}


def scene(seed: str) -> Image.Image:
    """Return an image of a rack, with frames about what was found."""
    random = Random(seed)
    image = Image.new("RGB", (WIDTH, HEIGHT), "#59636e")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, HEIGHT - 46, WIDTH, HEIGHT), fill="#7c8188")
    found = [box for level in range(3) for box in _level(draw, random, HEIGHT - 50 - level * 98)]
    for post in (6, WIDTH // 2 - 4, WIDTH - 14):
        draw.rectangle((post, 0, post + 8, HEIGHT - 40), fill="#23476e")
    for name, sure, corners in found:
        _frame(draw, name, sure, corners)
    return image


_Found = tuple[str, float, tuple[int, int, int, int]]


def _level(draw: ImageDraw.ImageDraw, random: Random, floor: int) -> list[_Found]:
    draw.rectangle((0, floor, WIDTH, floor + 7), fill="#d2691e")
    found: list[_Found] = []
    for left in (24, 142, 252, 366):
        if random.random() < 0.18:
            continue
        draw.rectangle((left, floor - 10, left + 92, floor - 1), fill="#a97c50", outline="#6e4d2e")
        found.append(("pallet", random.uniform(0.71, 0.97), (left - 2, floor - 12, left + 94, floor)))
        found += [
            _carton(draw, random, left + 4 + column * 45, floor - 11) for column in range(random.choice((1, 2, 2)))
        ]
    return found


def _carton(draw: ImageDraw.ImageDraw, random: Random, left: int, floor: int) -> _Found:
    tall = random.randint(30, 58)
    brown = random.choice(("#c99a63", "#bf8d55", "#d3a873"))
    corners = (left, floor - tall, left + 40, floor)
    draw.rectangle(corners, fill=brown, outline="#8b6239")
    draw.rectangle((left + 17, floor - tall, left + 23, floor), fill="#e3c596")
    return "carton", random.uniform(0.78, 0.98), corners


def _frame(draw: ImageDraw.ImageDraw, name: str, sure: float, corners: tuple[int, int, int, int]) -> None:
    colour, (left, top, _, _) = _FOUND[name], corners
    draw.rectangle(corners, outline=colour, width=2)
    text, font = f"{sure:.2f}" if name == "carton" else f"{name} {sure:.2f}", ImageFont.load_default(10)
    if name == "carton":
        draw.rectangle((left, top - 11, left + 26, top), fill=colour)
        draw.text((left + 2, top - 11), text, "#101418", font)

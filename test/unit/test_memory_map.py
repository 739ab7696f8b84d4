"""The memory map is well-formed, complete, deterministic and not to be broken by names."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

from lowtide.errors import InternalError
from lowtide.placement import PlacedBuffer
from lowtide.report.memory_map import memory_map_svg

SVG = "{http://www.w3.org/2000/svg}"
STEPS = ("load", "conv", "dense")
BUFFERS = (
    PlacedBuffer("input", 1024, 2048, 0, 1),
    PlacedBuffer("hidden", 2048, 0, 1, 2),
    PlacedBuffer("output", 16, 2048, 2, 2),
)


def drawn(svg: str) -> list[ET.Element]:
    """The rectangles of the buffers."""
    group = next(group for group in ET.fromstring(svg).iter(f"{SVG}g") if group.get("class") == "buffers")
    return group.findall(f"{SVG}rect")


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def tooltip(rectangle: ET.Element) -> str:
    return rectangle.findtext(f"{SVG}title") or ""


def figures(rectangle: ET.Element) -> tuple[float, float, float, float]:
    x, y, width, height = (float(rectangle.get(key) or "nan") for key in ("x", "y", "width", "height"))
    return x, y, width, height


def test_rectangles_are_in_proportion() -> None:
    first, second, third = (figures(rectangle) for rectangle in drawn(memory_map_svg("net", BUFFERS, STEPS, 3072)))
    assert first[2] == pytest.approx(second[2], abs=0.02) == pytest.approx(2 * third[2], abs=0.02)
    assert second[3] == pytest.approx(2 * first[3], abs=0.02)
    assert first[1] + first[3] == pytest.approx(second[1], abs=0.02)
    assert second[0] == pytest.approx(first[0] + first[2] / 2, abs=0.02)


def test_title_ticks_labels_peak_and_tooltips() -> None:
    svg = memory_map_svg("net on cortex-m4", BUFFERS, STEPS, 3072)
    shown = texts(svg)
    assert "net on cortex-m4" in shown
    assert {"0", "512 B", "3,072 B"} <= set(shown)
    assert "2 KiB" in texts(memory_map_svg("larger", BUFFERS, STEPS, 12_000))
    assert {"0: load", "1: conv", "2: dense", "input", "hidden", "1,024", "2,048"} <= set(shown)
    assert "peak at step 1, conv: 3,072 bytes live" in shown
    assert tooltip(drawn(svg)[0]) == "input\n1,024 bytes at offset 2,048 (to 3,072)\nlive in steps 0 to 1"


def test_same_arguments_same_bytes() -> None:
    assert memory_map_svg("net", BUFFERS, STEPS, 3072, 4096) == memory_map_svg("net", BUFFERS, STEPS, 3072, 4096)


@pytest.mark.parametrize(
    ("budget", "subtitle", "line"),
    [(4096, "of a budget of 4,096", True), (3000, "72 over the budget of 3,000", True), (1 << 20, "1,048,576", False)],
)
def test_budget(budget: int, subtitle: str, line: bool) -> None:
    shown = texts(memory_map_svg("net", BUFFERS, STEPS, 3072, budget))
    assert any(subtitle in text for text in shown)
    assert (f"budget {budget:,} B" in shown) == line


@pytest.mark.parametrize(
    "name", ["</svg><script>", "a & b", "\"quoted\" 'twice'", "nul\x00 esc\x1b[31m", "\ud800", "層"]
)
def test_hostile_names_are_text(name: str) -> None:
    svg = memory_map_svg(name, [PlacedBuffer(name, 64, 0, 0, 1)], [name, "b"], 64)
    root = ET.fromstring(svg.encode())
    assert root.findtext(f"{SVG}title")
    assert not list(root.iter(f"{SVG}script"))
    assert len(drawn(svg)) == 1
    if name.isprintable():
        assert tooltip(drawn(svg)[0]).startswith(name)


def many(count: int) -> tuple[list[PlacedBuffer], list[str]]:
    buffers = [
        PlacedBuffer(f"block_{i}/depthwise", 4096 + i, 4096 * (i % 3), i, min(i + 2, count)) for i in range(count)
    ]
    return buffers, [f"model/block_{i}/depthwise" for i in range(count + 1)]


def test_two_hundred_buffers_are_all_there_and_inside() -> None:
    buffers, steps = many(200)
    svg = memory_map_svg("large", buffers, steps, 4096 * 3 + 200)
    root = ET.fromstring(svg)
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    rectangles = drawn(svg)
    assert [tooltip(rectangle).split("\n")[0] for rectangle in rectangles] == [buffer.name for buffer in buffers]
    for x, y, wide, high in map(figures, rectangles):
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height


def test_step_names_are_thinned() -> None:
    buffers, steps = many(200)
    ticks = [text for text in texts(memory_map_svg("large", buffers, steps, 1 << 14)) if "depthw" in text]
    assert 20 < len([text for text in ticks if ": " in text]) < 150


def test_labels_stay_inside_their_boxes() -> None:
    """A name that does not fit is cut in the middle or left out; the tooltip has it whole."""
    long = "a_name_far_longer_than_its_box_" * 8 + "17"
    wide = PlacedBuffer(long, 1000, 0, 0, 9)
    flat = PlacedBuffer("flat", 1, 1000, 0, 9)
    svg = memory_map_svg("cut", [wide, flat], [str(step) for step in range(10)], 1001)
    shown = texts(svg)
    assert long not in shown
    assert any(text.startswith("a_name") and "…" in text and text.endswith("17") for text in shown)
    assert "flat" not in shown
    assert [tooltip(rectangle).split("\n")[0] for rectangle in drawn(svg)] == [long, "flat"]


@pytest.mark.parametrize(("buffers", "steps"), [((), ()), ((), ("only",)), ((PlacedBuffer("b", 1, 0, 0, 0),), ("s",))])
def test_the_smallest_maps(buffers: Sequence[PlacedBuffer], steps: Sequence[str]) -> None:
    svg = memory_map_svg("small", buffers, steps, len(buffers))
    assert len(drawn(svg)) == len(buffers)


@pytest.mark.parametrize(
    "buffer",
    [
        PlacedBuffer("bad", 4, 0, 0, 3),
        PlacedBuffer("bad", 4, 0, -1, 0),
        PlacedBuffer("bad", 4, 0, 2, 1),
        PlacedBuffer("bad", 4, -1, 0, 1),
        PlacedBuffer("bad", 4, 3069, 0, 1),
    ],
)
def test_a_buffer_outside_the_map_is_refused_by_name(buffer: PlacedBuffer) -> None:
    with pytest.raises(InternalError, match=r"3 steps|arena of 3072") as caught:
        memory_map_svg("net", [*BUFFERS, buffer], STEPS, 3072)
    assert "'bad'" in str(caught.value)


OVER = (
    PlacedBuffer("input", 1000, 0, 0, 1),
    PlacedBuffer("output", 1000, 100, 1, 2),
    PlacedBuffer("small", 16, 1100, 0, 2),
)


def test_shared_bytes_are_striped_and_counted_once() -> None:
    svg = memory_map_svg("net", OVER, STEPS, 1116)
    group = next(group for group in ET.fromstring(svg).iter(f"{SVG}g") if group.get("class") == "shared")
    (cell,) = group.findall(f"{SVG}rect")
    x, y, width, height = figures(cell)
    first, second, _ = (figures(rectangle) for rectangle in drawn(svg))
    assert (x, width) == pytest.approx((second[0], first[0] + first[2] - second[0]), abs=0.02)
    assert (y, height) == pytest.approx((first[1], second[1] + second[3] - first[1]), abs=0.02)
    assert "peak at step 1, conv: 2,016 bytes live in 1,116" in texts(svg)
    assert any("striped" in text for text in texts(svg))
    assert not any("striped" in text for text in texts(memory_map_svg("net", BUFFERS, STEPS, 3072)))


def test_labels_stand_where_a_buffer_is_alone() -> None:
    svg = memory_map_svg("net", OVER, STEPS, 1116)
    labels = next(group for group in ET.fromstring(svg).iter(f"{SVG}g") if group.get("class") == "labels")
    places = {
        text.text: float((text.get("transform") or "").removeprefix("translate(").split()[0])
        for text in labels.findall(f"{SVG}text")
    }
    first, second, _ = (figures(rectangle) for rectangle in drawn(svg))
    assert places["input"] == pytest.approx(first[0] + first[2] / 4, abs=0.02)
    assert places["output"] == pytest.approx(second[0] + second[2] * 3 / 4, abs=0.02)

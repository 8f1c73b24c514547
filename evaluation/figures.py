"""Pictures for the report and the release: grids of samples as PNG, curves as SVG."""

from __future__ import annotations

import base64
import html
import io
import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator
from PIL import Image, ImageDraw, ImageFont

from datamodules.sets.image_set import ImageSet, LabelledImages

SHOWN_PIXELS = 48  # small images are enlarged by a whole factor to about this width
COLOURS = ("#3b82c4", "#e07b39", "#2f9e77", "#b0609f", "#9a8523")  # readable on white and on black
MARKED = 12  # a line of more points has no marker at each point
DASHES = ("-", "--", ":", "-.")  # lines differ in more than colour
IN_LEGEND = 6  # a chart with more lines has their names at their ends, and no legend
LINE_HEIGHT = 0.17  # inches that such a name takes
LETTER = 0.08  # inches for a letter of it
MARGINS = (0.8, 0.48, 0.2, 0.2)  # inches on the left (numbers and a label), below, on the right and above
INK = "#010203"  # placeholder for the page's text colour until the drawing is finished


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    name: str
    """In the legend, or at the end of the line."""
    x: Sequence[float]
    """[N]."""
    y: Sequence[float]
    """[N]."""


@dataclass(frozen=True)
class Chart:
    """A line chart."""

    title: str
    """Different from those of the other charts on the page."""
    x_label: str
    """Of the horizontal axis."""
    y_label: str
    """Of the vertical axis."""
    series: Sequence[Series]
    """The lines; an empty chart is not shown."""
    log_y: bool = False
    """Whether the vertical axis is logarithmic."""
    limit: tuple[str, float] | None = None
    """Name and height of a horizontal line, such as a target."""


def enlargement(width: int) -> int:
    """The factor by which an image of this width (in pixels) is enlarged: 6 for 8, 2 for 28 and 32, 1 for 64."""
    return max(1, round(SHOWN_PIXELS / width))


def image_strip(images: np.ndarray, gap: int = 3) -> Image.Image:
    """Images next to each other on a transparent background, enlarged without smoothing.

    Args:
        images: uint8 [N, 1 or 3, H, W], N >= 0.
        gap: between two images, in pixels.
    """
    scale = enlargement(images.shape[3])
    height, width = (side * scale for side in images.shape[2:])
    strip = Image.new("RGBA", (max(1, len(images) * (width + gap) - gap), height))
    for place, image in enumerate(images):
        picture = Image.fromarray(np.moveaxis(np.broadcast_to(image, (3, *image.shape[1:])), 0, 2))
        strip.paste(picture.resize((width, height), Image.Resampling.NEAREST), (place * (width + gap), 0))
    return strip


def first_of_class(images: LabelledImages, label: int, count: int) -> np.ndarray:
    """The first `count` images of a category (or all, if fewer), uint8 [M, C, H, W]; good ones are not picked."""
    return np.asarray(images.subset(np.flatnonzero(images.labels == label)[:count]).in_memory().images)


def sample_grid(images: ImageSet, per_class: int = 10, classes: int = 20, title: str | None = None) -> Image.Image:
    """A picture of the first images of the first categories: a row with its name per category, on white.

    Args:
        per_class: images in a row.
        classes: rows.
        title: a warning in red above the rows, if any.
    """
    margin, font = 16, ImageFont.load_default(15)
    names = images.class_names[:classes]
    strips = [image_strip(first_of_class(images, label, per_class)) for label in range(len(names))]
    left = margin * 2 + math.ceil(max(font.getlength(name) for name in names))
    row = max(strip.height for strip in strips) + 6
    above = margin + (28 if title else 0)
    size = (left + max(strip.width for strip in strips) + margin, above + row * len(strips) + margin - 6)
    grid = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(grid)
    if title:
        draw.text((margin, margin), title, fill="#b42318", font=font, anchor="lt")
    for place, (name, strip) in enumerate(zip(names, strips, strict=True)):
        top = above + place * row
        grid.paste(strip, (left, top), strip)
        draw.text((left - margin, top + strip.height / 2), name, fill="#333333", font=font, anchor="rm")
    return grid


def png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(picture: Image.Image) -> str:
    """A picture as a data: URI, for use inside a page."""
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode()


def line_chart(chart: Chart, width: float = 5.4, height: float = 3.0) -> str:
    """A chart as an `<svg>` element whose text and axes have the colour of the text around it (light or dark pages).

    Args:
        width: in inches.
        height: in inches; more if many lines have their names at their ends.
    """

    def draw(axes: Axes) -> None:
        for place, series in enumerate(chart.series):
            colour, dash = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
            marker = "o" if len(series.x) <= MARKED else None
            axes.plot(series.x, series.y, dash, color=colour, marker=marker, linewidth=1.8, label=series.name)
        if chart.limit:
            name, value = chart.limit
            axes.axhline(value, color="#c0392b", linewidth=1.1, linestyle=(0, (5, 3)), label=name)
        axes.set_xlabel(chart.x_label)
        axes.set_ylabel(chart.y_label)
        whole = all(float(x).is_integer() for series in chart.series for x in series.x)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=whole))
        if chart.log_y:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(PlainLog())
            axes.yaxis.set_minor_formatter(PlainLog(labelOnlyBase=False))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.18, linewidth=0.6, color=INK)
        if len(chart.series) > IN_LEGEND:
            name_ends(axes, chart.series, gap=LINE_HEIGHT / tall)
        elif len(chart.series) + bool(chart.limit) > 1:
            axes.legend(frameon=False, loc="best")

    tall = max(height, LINE_HEIGHT * len(chart.series) + 0.6)
    many = len(chart.series) > IN_LEGEND
    left, below, right, above = MARGINS
    right += room_for([series.name for series in chart.series], width) if many else 0
    return inline_svg(chart.title, draw, width, tall, (left, below, right, above))


def room_for(names: Sequence[str], width: float) -> float:
    """Inches for names to the right of the axes: at most half of the picture's `width`."""
    return min(LETTER * max(map(len, names)), width / 2)


class PlainLog(LogFormatter):
    """Labels of a logarithmic axis as plain numbers; the default ones are formulas, which take longer to draw."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def name_ends(axes: Axes, series: Sequence[Series], gap: float) -> None:
    """Write the name of each line to the right of its end, in its colour.

    Args:
        series: the first lines of `axes`, in order.
        gap: least vertical distance of two names, as a fraction of the height of the axes; names are moved for it.
    """
    lines = axes.get_lines()[: len(series)]
    last = np.array([[each.x[-1], each.y[-1]] for each in series], dtype=np.float64)
    ends = (axes.transData + axes.transAxes.inverted()).transform(last)[:, 1].tolist()
    for place, line in zip(spread(ends, gap), lines, strict=True):
        axes.text(1.03, place, str(line.get_label()), transform=axes.transAxes, color=line.get_color(), va="center")


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Positions moved just enough to be at least `gap` apart, in the same order, with the highest at most at 1."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    found = list(places)
    for before, i in itertools.pairwise(order):
        found[i] = max(found[i], found[before] + gap)
    ceiling = 1.0
    for i in reversed(order):
        found[i] = min(found[i], ceiling)
        ceiling = found[i] - gap
    return found


def inline_svg(
    title: str, draw: Callable[[Axes], None], width: float, height: float, margins: tuple[float, float, float, float]
) -> str:
    """A drawing as an `<svg>` element.

    Args:
        title: different from those of the page's other drawings.
        draw: draws on empty axes.
        width: in inches.
        height: in inches.
        margins: around the axes on the left, below, on the right and above, in inches; to find them out by a layout
            engine takes as long as all the rest.
    """
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": title,
        "font.family": "sans-serif",
        "font.size": 9,
        "text.parse_math": False,  # names of categories may have dollar signs
    }
    style |= dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height))
        left, below, right, above = margins
        box = (left, below, width - left - right, height - below - above)
        draw(figure.add_axes(tuple(np.divide(box, (width, height, width, height)))))
        return _as_element(figure, title)


def _as_element(figure: Figure, title: str) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_visible(False)  # the page has a background of its own
    FigureCanvasSVG(figure).print_svg(buffer, metadata=nothing)  # `savefig` would draw the figure twice
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg, count=2)  # an element inside HTML needs no namespace addresses
    svg = re.sub(r'\sid="[a-z0-9.]+_\d+"', "", svg)  # nothing refers to these ids, and two charts would have the same
    svg = svg.replace(INK, "currentColor")
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(title)}"', 1)

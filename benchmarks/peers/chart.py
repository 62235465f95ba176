"""Draw what was found as a chart: run by the interpreter of the peers, which has matplotlib.

``chart.py results/peers.json`` writes ``peers.svg`` and ``peers.png`` beside the file, and ``peers-dark.svg`` for
dark pages.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')
matplotlib.rcParams.update({'font.family': 'DejaVu Sans', 'svg.hashsalt': 'colibris', 'svg.fonttype': 'path'})

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

#: What the chart shows, and how it calls it; the other peers are in the table alone.
LABELS: Mapping[str, str] = {
    'colibris': 'Colibris',
    'tuned': 'aiohttp + asyncpg by hand',
    'plain-uvloop': 'aiohttp + Tortoise',
    'fastapi-sqlalchemy': 'FastAPI + SQLAlchemy',
    'fastapi-asyncpg': 'FastAPI + asyncpg',
    'litestar-sqlalchemy': 'Litestar + SQLAlchemy',
    'litestar-asyncpg': 'Litestar + asyncpg',
    'blacksheep-sqlalchemy': 'BlackSheep + SQLAlchemy',
    'blacksheep-asyncpg': 'BlackSheep + asyncpg',
    'falcon-sqlalchemy': 'Falcon + SQLAlchemy',
    'falcon-asyncpg': 'Falcon + asyncpg',
    'sanic-sqlalchemy': 'Sanic + SQLAlchemy',
    'sanic-asyncpg': 'Sanic + asyncpg',
    'drf': 'Django REST Framework',
}
#: Work without a database: the layer beneath does not matter, and is not named.
WITHOUT_DATABASE = ('W1', 'W2')


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a page."""

    page: str
    text: str
    faint: str
    ours: str
    by_hand: str
    others: str


LIGHT = Theme(page='#ffffff', text='#1f2328', faint='#59636e', ours='#0a7d5a', by_hand='#8fc7b3', others='#c4ccd4')
DARK = Theme(page='#0d1117', text='#f0f6fc', faint='#9198a1', ours='#2fbf8f', by_hand='#1c6b52', others='#3d444d')


def draw(found: Mapping[str, Any], theme: Theme) -> Figure:
    """Return the chart: a panel for each kind of work, in two columns, a bar for each peer; the last one is a key."""
    works = list(found['works'])
    heights = [max(len(_rows(found, work)) for work in works[first : first + 2]) for first in range(0, len(works), 2)]
    figure, panels = pyplot.subplots(
        len(heights),
        2,
        figsize=(12.5, 0.25 * sum(heights) + 0.62 * len(heights)),
        gridspec_kw={'height_ratios': [height + 0.6 for height in heights]},
        facecolor=theme.page,
        squeeze=False,
    )
    for panel in panels.flat:
        panel.axis('off')
    for panel, work in zip(panels.flat, works, strict=False):
        _panel(panel, f'{work}  {found["works"][work]}', _rows(found, work), theme, work in WITHOUT_DATABASE)
    figure.tight_layout(h_pad=1.8, w_pad=2.5)
    _key(panels.flat[-1], found, theme)
    return figure


def _rows(found: Mapping[str, Any], work: str) -> list[Mapping[str, Any]]:
    rows = [row for row in found['medians'] if row['work'] == work and row['peer'] in LABELS]
    return sorted(rows, key=lambda row: row['per_second'])


def _panel(panel: Axes, title: str, rows: Sequence[Mapping[str, Any]], theme: Theme, plain: bool) -> None:
    colours = {'colibris': theme.ours, 'tuned': theme.by_hand}
    speeds = [row['per_second'] for row in rows]
    bars = panel.barh(
        [_label(row['peer'], plain) for row in rows],
        speeds,
        height=0.74,
        color=[colours.get(row['peer'], theme.others) for row in rows],
    )
    labels = panel.bar_label(bars, [f'{speed:,.0f}' for speed in speeds], padding=4, fontsize=8.5, color=theme.text)
    panel.axis('on')
    panel.set_title(title, loc='left', fontsize=11, fontweight='bold', color=theme.text, pad=6)
    panel.set_xlim(0, max(speeds, default=1) * 1.12)
    panel.set_ylim(-0.6, len(rows) - 0.4)
    panel.set_facecolor(theme.page)
    panel.xaxis.set_visible(False)
    panel.tick_params(axis='y', length=0, labelsize=9, labelcolor=theme.text)
    for row, number, name in zip(rows, labels, panel.get_yticklabels(), strict=True):
        if row['peer'] == 'colibris':
            for text in (number, name):
                text.set(fontweight='bold', color=theme.ours)
    panel.spines[:].set_visible(False)


def _label(peer: str, plain: bool) -> str:
    """Return how the chart calls *peer*; where there is no database, without what it would reach one by."""
    if plain:
        return {'tuned': 'aiohttp by hand', 'plain-uvloop': 'aiohttp + marshmallow'}.get(
            peer, LABELS[peer].partition(' + ')[0]
        )
    return LABELS[peer]


def _key(panel: Axes, found: Mapping[str, Any], theme: Theme) -> None:
    machine = found['machine']
    colours = {
        'Colibris: a declared view': theme.ours,
        'by hand: aiohttp, msgspec, prepared statements': theme.by_hand,
        'others': theme.others,
    }
    lines = (
        'Requests a second, more is better',
        f'medians of {found["rounds"]} rounds of {found["seconds"]:g} s, {found["date"]}',
        f'each server on one core of {machine["processor"]}',
        f'PostgreSQL on the other core; {found["connections"]} connections',
    )
    legend = panel.legend(
        handles=[Patch(color=colour, label=label) for label, colour in colours.items()],
        loc='center',
        frameon=False,
        fontsize=10.5,
        labelcolor=theme.text,
        title='\n'.join(lines),
        title_fontsize=10.5,
        alignment='left',
        labelspacing=0.7,
    )
    legend.get_title().set(color=theme.faint, linespacing=1.6)


def main(file: Path) -> None:
    found = json.loads(file.read_text())
    for theme, name, formats in ((LIGHT, file.stem, ('svg', 'png')), (DARK, f'{file.stem}-dark', ('svg',))):
        figure = draw(found, theme)
        for suffix in formats:
            metadata = {'Date': None} if suffix == 'svg' else None
            figure.savefig(file.with_name(f'{name}.{suffix}'), dpi=160, facecolor=theme.page, metadata=metadata)
        pyplot.close(figure)


if __name__ == '__main__':
    main(Path(sys.argv[1]))

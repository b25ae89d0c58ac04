"""The report page: one HTML file that holds everything it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from atomlens.reference import property_words
from atomlens.report import assets
from atomlens.report.answers import Answer, counted, summary_answers
from atomlens.report.records import MAX_PAIRS, Orientation, frame_record, vocabulary
from atomlens.report.wording import (
    PRODUCT_RULES,
    RULES,
    SIGNS,
    card_entry,
    documentation_address,
    is_energy,
)
from atomlens.tables import ExplainedFrame, RunInfo, package_version

if TYPE_CHECKING:
    from atomlens.report.chapters import Chapter

# A page shows at most so many frames and pair terms; the tables hold all of them.
MAX_FRAMES = 20
_MAX_PAIRS_IN_ALL = 24_000

_SCRIPTS = (
    "state.js",
    "draw.js",
    "tables.js",
    "selection.js",
    "arrows.js",
    "viewer.js",
    "picking.js",
    "terms.js",
    "matrix.js",
    "distance.js",
    "walks.js",
    "frames.js",
    "exports.js",
    "saving.js",
    "address.js",
    "main.js",
)


def frames_on_page(n_frames: int, limit: int = MAX_FRAMES) -> list[int]:
    """Numbers of the frames that the page of a run shows: all, or `limit` evenly spaced ones.

    Examples
    --------
    >>> frames_on_page(3)
    [0, 1, 2]
    >>> frames_on_page(1000, limit=3)
    [0, 500, 999]
    """
    return np.unique(np.linspace(0, n_frames - 1, min(n_frames, limit)).round().astype(int)).tolist()


@dataclass
class Page:
    """Collects frames of a run and renders the page.

    Attributes
    ----------
    info
        What was asked for.
    n_frames
        Number of frames of the whole run.
    limit
        Largest number of frames shown.
    """

    info: RunInfo
    n_frames: int = 1
    limit: int = MAX_FRAMES
    _records: list[dict[str, Any]] = field(default_factory=list)
    _orientation: Orientation = field(default_factory=Orientation)
    _first: ExplainedFrame | None = None

    def add(self, frame: ExplainedFrame) -> None:
        """Take what the page shows of a frame."""
        shown = len(frames_on_page(self.n_frames, self.limit))
        self._first = self._first or frame
        limit = max(200, min(MAX_PAIRS, _MAX_PAIRS_IN_ALL // shown))
        self._records.append(frame_record(frame, self._orientation, limit))

    def html(
        self,
        tables: list[str] | None = None,
        *,
        chapters: Sequence[Chapter] = (),
        n_structures: int = 0,
        n_sampled: int | None = None,
        headline: str = "",
        units: str = "structures",
    ) -> str:
        """The page as text.

        Parameters
        ----------
        tables
            Names of the files of tables in the page's folder.
        chapters, n_structures, n_sampled
            Answered questions, shown before the structures, how many structures were explained, and from how many of
            them the questions were answered; all if None.
        headline
            Heading of a page of questions; of one structure if empty.
        units
            What was counted: structures, or replicas of a simulation.

        Raises
        ------
        ValueError
            If no frame was added.
        """
        if self._first is None:
            raise ValueError("the page has no frame; add at least one")
        first, facts = self._first, self.info.model
        words = property_words(first.quantity)
        signs = SIGNS["energy" if first.unit == "eV" and is_energy(words) else "other"]
        rule = RULES[first.rule]
        product = PRODUCT_RULES.get(first.product_rule or "", None) if facts.has_products else None
        model = {"cutoff": first.cutoff, "layers": first.n_layers, "features": facts.n_features}
        data = {
            "unit": first.unit,
            "property": words,
            "model": model,
            "vocabulary": vocabulary(),
            "frames": self._records,
        }
        return assets.page_template("report.html.jinja").render(
            version=package_version(),
            title=self._records[0]["name"],
            property=words,
            unit=first.unit,
            constant_meaning=first.constant_meaning,
            sign_text=signs.sentence,
            lowers=signs.lowers.format(property=words),
            raises=signs.raises.format(property=words),
            orange_bond=signs.orange.format(property=words),
            documentation=documentation_address(),
            architecture=facts.name,
            model=model,
            long_range=[kind for kind, _ in first.long_range],
            no_walks=first.no_walks,
            model_path=self.info.model_path,
            structures_path=self.info.structures_path,
            rule_name=rule.name + _strength(first, self.info) + (f", products: {product.name}" if product else ""),
            rule_text=rule.short,
            conserves=rule.conserves,
            rule_long=rule.long + (f" {product.long}" if product else ""),
            shown=len(self._records),
            total_frames=self.n_frames,
            left_out=self.n_frames > len(self._records),
            command=self.info.command,
            card=[(str(key), card_entry(value)) for key, value in facts.card.items()],
            tables=tables or [],
            chapters=chapters,
            n_structures=n_structures,
            n_sampled=n_structures if n_sampled is None else n_sampled,
            headline=headline,
            answers=[
                *summary_answers([chapter.verdict for chapter in chapters]),
                *(Answer("", chapter.headline) for chapter in chapters if chapter.headline),
            ],
            counted=counted([chapter.verdict for chapter in chapters]) if headline else "",
            units=units,
            style=Markup(assets.template_text("style.css")),
            data=assets.json_text(data),
            viewer=assets.viewer_script(),
            script=assets.script_text("\n".join(assets.template_text(name) for name in _SCRIPTS)),
        )


def page_html(frame: ExplainedFrame, info: RunInfo) -> str:
    """The page of one structure.

    Parameters
    ----------
    frame
        The explained structure.
    info
        Model and files, for the page's head.
    """
    page = Page(info)
    page.add(frame)
    return page.html()


def _strength(frame: ExplainedFrame, info: RunInfo) -> str:
    gamma = info.options.get("gamma") if frame.rule == "gamma" else None
    return "" if gamma is None else f" (γ = {gamma:g})"

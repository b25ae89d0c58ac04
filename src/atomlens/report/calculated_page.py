"""The page of an ASE calculator: chapters, and what was found out about its forces; it has no terms to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from atomlens.report import assets
from atomlens.report.answers import counted, summary_answers
from atomlens.report.chapters import Chapter
from atomlens.report.wording import card_entry
from atomlens.tables import RunInfo, package_version


def calculated_html(
    info: RunInfo,
    chapters: Sequence[Chapter],
    *,
    headline: str,
    forces: Mapping[str, Any] | None = None,
    failures: Sequence[str] = (),
    n_structures: int = 1,
    n_sampled: int | None = None,
    units: str = "structures",
    tables: Sequence[str] = (),
) -> str:
    """The page as text.

    Parameters
    ----------
    info
        Calculator and structures, as named.
    chapters
        Answers.
    headline
        Title of the page.
    forces
        How forces compare with energies: ``sentence`` and ``consistent``; None where that was not looked at.
    failures
        Where the calculator had no energy, one sentence per question.
    n_structures, n_sampled
        How many structures were given, and from how many questions are answered.
    units
        What is counted.
    tables
        Names of the files beside the page.
    """
    return assets.page_template("calculated.html.jinja").render(
        version=package_version(),
        headline=headline,
        answers=summary_answers([chapter.verdict for chapter in chapters], has_terms=False),
        counted=counted([chapter.verdict for chapter in chapters]),
        calculator=info.model_path,
        card=[(str(key), card_entry(value)) for key, value in info.model.card.items()],
        structures=info.structures_path,
        n_structures=n_structures,
        n_sampled=n_structures if n_sampled is None else n_sampled,
        units=units,
        forces=forces,
        failures=failures,
        chapters=list(chapters),
        tables=list(tables),
        command=info.command,
        style=Markup(assets.template_text("style.css")),
        script=assets.plain_script(),
    )

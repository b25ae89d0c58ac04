from .amounts import height_text, in_eV, in_kT
from .assets import page_template, plain_script, template_text
from .axes import BLUE, GREEN, INK, ORANGE, PINK, QUIET, plain
from .calculated_page import calculated_html
from .chapters import Chapter, make_chapter, svg_address, unanswered_chapter
from .check_figures import check_figure
from .compare_page import compare_html
from .couplings_page import couplings_html
from .figures import overview_figure
from .md_figures import failure_figure, stability_figure
from .page import Page, frames_on_page, page_html
from .plots import Plots, pair_cylinders
from .verdicts_page import verdicts_html
from .wording import PRODUCT_RULES, RULES, card_entry

__all__ = [
    "BLUE",
    "GREEN",
    "INK",
    "ORANGE",
    "PINK",
    "PRODUCT_RULES",
    "QUIET",
    "RULES",
    "Chapter",
    "Page",
    "Plots",
    "calculated_html",
    "card_entry",
    "check_figure",
    "compare_html",
    "couplings_html",
    "failure_figure",
    "frames_on_page",
    "height_text",
    "in_eV",
    "in_kT",
    "make_chapter",
    "overview_figure",
    "page_html",
    "page_template",
    "pair_cylinders",
    "plain",
    "plain_script",
    "stability_figure",
    "svg_address",
    "template_text",
    "unanswered_chapter",
    "verdicts_html",
]

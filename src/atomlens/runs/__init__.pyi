from .analysis import AnalysisOptions, AnalysisRun, analysis_files, run_analysis
from .check import CheckRun, run_check
from .compare_run import write_comparison
from .couplings import PICTURE, CouplingFrame, CouplingSource, computed, write_couplings
from .demonstration import MAIN_MODELS, MOLECULES, demo_steps, write_demo
from .explaining import explained_frames
from .md import MD_FILES, run_md
from .run import RunResult, write_run
from .verdicts import VerdictComparison, all_analyses, compare_verdicts, write_verdicts

__all__ = [
    "MAIN_MODELS",
    "MD_FILES",
    "MOLECULES",
    "PICTURE",
    "AnalysisOptions",
    "AnalysisRun",
    "CheckRun",
    "CouplingFrame",
    "CouplingSource",
    "RunResult",
    "VerdictComparison",
    "all_analyses",
    "analysis_files",
    "compare_verdicts",
    "computed",
    "demo_steps",
    "explained_frames",
    "run_analysis",
    "run_check",
    "run_md",
    "write_comparison",
    "write_couplings",
    "write_demo",
    "write_run",
    "write_verdicts",
]

"""Renders a report as one self-contained HTML page.

Styles, scripts, data and pictures are inside; a content security policy forbids loading anything. A
live page, which `progan report --serve` sends, also asks its server for news.
"""

import base64
import hashlib
import time
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from progan.datasets.files import write_whole
from progan.pipeline.plan.times import about
from progan.pipeline.report.collect import collect
from progan.pipeline.report.document import Report
from progan.pipeline.run.progress_display import duration, phase_headings
from progan.pipeline.run_folder import RunFolder

WEB = Path(__file__).parent / "web"
SCRIPTS = ("start.js", "growth.js", "plan.js", "curves.js")
"""In order of execution"""
LIVE = "live.js"
JSON_IN_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
DRAWN_BY_SCRIPTS = {"name", "stages", "growth", "charts", "happenings"}


def write_report(run: RunFolder, out: Path | None = None) -> Path:
    """Write a run's report, by default into its folder; returns its path."""
    out = out or run.report
    write_whole(out, render(collect(run)).encode())
    return out


def render(report: Report, *, live: bool = False) -> str:
    """The page's HTML; `live`: with the script that follows a run (serve.py)."""
    script = "".join((WEB / name).read_text() for name in (*SCRIPTS, *([LIVE] if live else [])))
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            live=live,
            phases=phase_headings({stage.mode for stage in report.stages}),
            data=report.model_dump_json(include=DRAWN_BY_SCRIPTS).translate(JSON_IN_HTML),
            style=(WEB / "page.css").read_text(),
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def render_facts(report: Report) -> str:
    """The part of the page that changes all the time: state, images shown, time left."""
    return environment().get_template("facts.html.j2").render(report=report)


def environment() -> Environment:
    """Where the templates are, with their filters."""
    found = Environment(
        loader=FileSystemLoader(WEB),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"kimg": kimg, "duration": duration, "date": date, "about": about}
    return found


def kimg(images: int) -> str:
    """1234567 -> 1,234.6 kimg; 16 -> 0.02 kimg"""
    thousands = images / 1000
    return f"{thousands:,.2f} kimg" if thousands < 10 else f"{thousands:,.1f} kimg"


def date(seconds: float) -> str:
    """2026-01-31 18:05 UTC"""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))

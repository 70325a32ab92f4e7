"""From records to a page: templates, style and script of this folder, and the policy that lets nothing else in."""

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from iblnm_core.reports.model import CohortPage, CompanionPage, SessionPage

if TYPE_CHECKING:
    import jinja2

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"


def render_session(page: SessionPage) -> bytes:
    """Return the page of a session; it holds no script."""
    return _rendered("session.html.j2", page=page, policy=_POLICY)


def render_cohort(page: CohortPage) -> bytes:
    """Return the page of a cohort; it holds one script, which the policy names by its hash."""
    import markupsafe

    script = _own("filter.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"{_POLICY}; script-src 'sha256-{digest}'"
    return _rendered("cohort.html.j2", page=page, policy=policy, script=markupsafe.Markup(script))  # noqa: S704 - our own file


def render_companion(page: CompanionPage) -> bytes:
    """Return the page of a picture; it holds no script."""
    return _rendered("companion.html.j2", page=page, policy=_POLICY)


def _rendered(template: str, **content: Any) -> bytes:
    import markupsafe

    style = markupsafe.Markup(_own("style.css"))  # noqa: S704 - our own file
    return _environment().get_template(template).render(style=style, **content).encode()


def _own(name: str) -> str:
    return (resources.files("iblnm_core.reports") / name).read_text(encoding="utf-8")


@cache
def _environment() -> "jinja2.Environment":
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("iblnm_core.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )

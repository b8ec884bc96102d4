"""What every page has: language, navigation, who asks, and its errors as a page."""

import json
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute

from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.master.http.access import Caller, master_of
from proteinx_pipelines.master.http.problems import HttpProblem, problem_of
from proteinx_pipelines.master.pages import links
from proteinx_pipelines.master.pages.static import digest
from proteinx_pipelines.master.pages.words import LANGUAGES, Language, Words, preferred
from proteinx_pipelines.pages.figures.figure import HATCH, STANDALONE_STYLE
from proteinx_pipelines.pages.render import environment, trusted

TEMPLATES = Path(__file__).with_name("templates")
LANGUAGE_COOKIE = "proteinx_language"
FRAGMENT = "x-fragment"
"""Request header of a script that wants a part of the page: the name of the part."""
NAVIGATION = ("jobs", "nodes", "datasets", "models", "campaigns", "groups", "webhooks", "settings")
_YEAR_S = 31_536_000


def language_of(request: Request) -> Language:
    """`?lang=`, else the cookie, else what the browser prefers."""
    for given in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if given in LANGUAGES:
            return "zh" if given == "zh" else "en"
    return preferred(request.headers.get("accept-language", ""))


def page(
    request: Request, caller: Caller | None, template: str, *, status: int = 200, **context: Any
) -> HTMLResponse:
    """Render a page.

    Args:
        request: its address is the page's state.
        caller: who asks; None where nobody has to be known.
        template: file name in `templates`.
        status: of the answer.
        context: what the template needs; texts are escaped.
    """
    words = Words(language_of(request))
    text = (
        environment(TEMPLATES)
        .get_template(template)
        .render(
            t=words,
            lang=words.language,
            languages=LANGUAGES,
            caller=caller,
            may=caller.scopes if caller else frozenset(),
            needs_token=not master_of(request).settings.is_open,
            path=request.url.path,
            link=links.changer(request),
            href=links.address,
            static=f"/static/{digest()}",
            navigation=NAVIGATION,
            script_words=_in_script(words.for_scripts()),
            hatch=trusted(HATCH),
            figure_style=STANDALONE_STYLE,
            **context,
        )
    )
    answer = HTMLResponse(text, status, {"Cache-Control": "no-cache", "Vary": f"Cookie, {FRAGMENT}"})
    if request.query_params.get("lang") in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, words.language, max_age=_YEAR_S, samesite="lax")
    return answer


def page_number(request: Request) -> int:
    """The address's `page`, from 1; 1 for anything else."""
    text = request.query_params.get("page", "1")
    return max(1, int(text)) if text.isdecimal() and len(text) < 8 else 1


class PageRoute(APIRoute):
    """A route whose errors are pages; without a token where one is needed, the login page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route's own handler."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except (ProteinxError, RequestValidationError) as error:
                return error_page(request, problem_of(error))

        return answer


def error_page(request: Request, problem: HttpProblem) -> Response:
    """An error as a page: what happened and what to do."""
    if problem.status == 401:
        here = links.local_path(str(request.url).removeprefix(str(request.base_url).rstrip("/")))
        return RedirectResponse(links.address("/login", {"next": here}), 303)
    answer = page(request, None, "error.html", status=problem.status, problem=problem)
    answer.headers.update(problem.headers)
    return answer


def _in_script(values: Mapping[str, str]) -> Any:
    text = json.dumps(dict(values), ensure_ascii=False)
    return trusted(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))

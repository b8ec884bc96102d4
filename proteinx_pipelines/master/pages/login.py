"""The login page of a Master that needs a token: it is checked, and kept in a cookie that scripts cannot read."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from proteinx_pipelines.master.http.access import COOKIE, caller_with, master_of, refuse_foreign_page
from proteinx_pipelines.master.pages.frame import PageRoute, page
from proteinx_pipelines.master.pages.links import local_path

router = APIRouter(route_class=PageRoute)
_MONTH_S = 2_592_000


@router.get("/login")
def show(request: Request, next: str = "/") -> Response:  # noqa: A002  # the parameter's public name
    """Ask for a token."""
    return page(request, None, "login.html", next=local_path(next), is_wrong=False)


@router.post("/login")
def enter(request: Request, token: Annotated[str, Form()], next: Annotated[str, Form()] = "/") -> Response:  # noqa: A002
    """Check the token; keep it and go on, or say that it is wrong."""
    refuse_foreign_page(request)
    if caller_with(master_of(request), token.strip()) is None:
        return page(request, None, "login.html", next=local_path(next), is_wrong=True)
    answer = RedirectResponse(local_path(next), 303)
    answer.set_cookie(
        COOKIE,
        token.strip(),
        max_age=_MONTH_S,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/logout")
def leave(request: Request) -> Response:
    """Forget the token."""
    refuse_foreign_page(request)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE)
    return answer

"""Routes of templates: experiments to start from."""

from typing import Any

from fastapi import APIRouter

from proteinx_pipelines.master.http.access import Reader
from proteinx_pipelines.master.http.lists import LARGEST, Page, Size, page_of
from proteinx_pipelines.templates import template, templates

router = APIRouter(tags=["templates"])


@router.get("/templates", summary="All templates")
def get_templates(_caller: Reader, page: Page = 1, size: Size = LARGEST) -> dict[str, Any]:
    """Name, title, description, needed and set flags of each."""
    return page_of([each.document() for each in templates().values()], page, size)


@router.get("/templates/{name}", summary="One template")
def get_template(name: str, _caller: Reader) -> dict[str, Any]:
    """A template."""
    return template(name).document()

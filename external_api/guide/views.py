"""Views of the guide's pages, open to everybody."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from external_api.guide.chapters import INDEX, chapters


@require_safe
def guide(request: HttpRequest, name: str = INDEX) -> HttpResponse:
    """A chapter, or the index. Looked up among those that were read: no name reaches the file system."""
    pages = list(chapters().values())
    place = next((number for number, each in enumerate(pages) if each.name == name), None)
    if place is None:
        raise Http404("no such chapter")
    following = pages[place + 1] if place + 1 < len(pages) else None
    context = {
        "chapter": pages[place],
        "is_index": name == INDEX,
        "previous": pages[place - 1] if place else None,
        "following": following,
    }
    response = render(request, "guide/page.html", context)
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "no-cache"
    return response


@require_safe
def chapter(request: HttpRequest, name: str) -> HttpResponse:
    """A chapter by its name. The index has its own URL alone."""
    if name == INDEX:
        raise Http404("the index")
    return guide(request, name)

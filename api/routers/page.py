"""The dashboard: one page, its assets, the base map with range requests; the API's reference; the customer's page."""

from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from api.customer import PAGE
from api.dashboard import BUILT, MAPS, is_built

__all__ = ["mount_page"]

_DOCUMENT: Final = "/api/v1/openapi.json"
_NOTBUILT: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Outrider</title>
<body style="font: 16px/1.5 system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem">
<h1>Outrider is running</h1>
<p>The dashboard has not been built. Run <code>make dashboard</code> and load this page again.</p>
<p>The API is described at <a href="/docs">/docs</a>.</p></body></html>"""


class _Assets(StaticFiles):
    """Built files: their names change with their content, so browsers may keep them."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """Return a file that never changes under its name."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def mount_page(app: FastAPI) -> None:
    """Serve the dashboard at `/` and the API's reference at `/docs`, built now or later, and the customer's page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page() -> Response:
        if not is_built():
            return HTMLResponse(_NOTBUILT, 503)
        return FileResponse(BUILT / "index.html", headers={"Cache-Control": "no-cache"})

    @router.get("/docs")
    async def reference_page() -> Response:
        if not is_built():
            return RedirectResponse(_DOCUMENT)
        return FileResponse(BUILT / "reference.html", headers={"Cache-Control": "no-cache"})

    @router.get("/track/{token}")
    async def customer_page(token: str) -> Response:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.include_router(router)
    app.mount("/customer", StaticFiles(directory=PAGE), name="customer")
    app.mount("/assets", _Assets(directory=BUILT / "assets", check_dir=False), name="assets")
    app.mount("/maps", StaticFiles(directory=MAPS, check_dir=False), name="maps")

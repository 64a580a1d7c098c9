"""The notebooks run from their first cell to their last, and draw what they speak of."""

from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_its_pictures(path):
    notebook = jupytext.read(path)
    NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    assert pictures == path.read_text().count("plt.show()") >= 3


def test_every_notebook_is_in_the_list():
    listed = (ROOT / "notebooks" / "README.md").read_text()
    assert len(NOTEBOOKS) >= 4
    assert all(f"[{path.name}]" in listed for path in NOTEBOOKS)

"""What all branches of the settings have in common."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Branch"]


class Branch(BaseModel):
    """One branch of the tree: frozen, and a name that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

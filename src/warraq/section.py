"""The base of every branch of params.yaml."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A branch of params.yaml: frozen, and a key that nobody reads is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

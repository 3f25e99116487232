"""The base of every branch of params.yaml."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A branch of params.yaml: frozen; unknown keys are refused, and no value is converted but int to float."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

"""One module a stage of dvc.yaml; stages meet only through files."""

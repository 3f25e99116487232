"""Model families: one module each, named as `students.<name>.family` in params.yaml."""

"""The docs page and the texts of the OpenAPI document."""

"""The templates of the pages."""

import jinja2


def environment() -> jinja2.Environment:
    """Return the templates of the pages; whatever they are given is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("decoupled_qc.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

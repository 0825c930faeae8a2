"""The templates of HTML pages."""

import jinja2


def environment(package: str) -> jinja2.Environment:
    """Return the templates of a package; whatever they are given is escaped.

    Args:
        package: In whose folder they lie, such as ``decoupled_qc.report``.
    """
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

"""From heads to a cohort: fetching, tissue labels, distinct subjects, and the manifest that lists them."""

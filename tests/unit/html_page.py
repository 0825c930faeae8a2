"""A page that was written, taken apart."""

import json
from html.parser import HTMLParser


class Page(HTMLParser):
    """Tags with attributes, the JSON of the page, and its text."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words, self.inside = [], [], None
        self.source = path.read_text()
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = tag

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.words.append(data)
        elif data.lstrip().startswith("{"):
            self.json = json.loads(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

"""Search that finds Chinese words too: every two neighbouring signs count as a word."""

import re

from sphinx.search.en import SearchEnglish

HAN = "\u3400-\u9fff"


class Pairs(SearchEnglish):
    """English, and pairs of Chinese signs, in the index and in what is asked for."""

    lang = "icnn"
    js_splitter_code = """
var splitQuery = (query) =>
    (query.match(/[HAN]+|[\\p{Letter}\\p{Number}_]+/gu) || []).flatMap((run) =>
        run.split(/([HAN]+)/).flatMap((part) =>
            /[HAN]{3}/.test(part) ? [...part].slice(1).map((sign, i) => part[i] + sign) : part))
        .filter((word) => word);
""".replace("HAN", r"\u3400-\u9fff")

    def split(self, text: str) -> list[str]:
        runs = re.findall(rf"[{HAN}]+|[^\W{HAN}]+", text)
        return [word for run in runs for word in self._pairs(run)]

    def _pairs(self, run: str) -> list[str]:
        han = re.match(f"[{HAN}]", run)
        return [run[i : i + 2] for i in range(max(1, len(run) - 1))] if han else [run]


def setup(app) -> dict:
    app.add_search_language(Pairs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

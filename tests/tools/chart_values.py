"""Writes src/lint/charts.json from the history of the charts' repositories.

    python3 tests/tools/chart_values.py REPOSITORY:FOLDER=CHART … > src/lint/charts.json

Of each chart: `maps`, the keys of its values by path in the newest version, without maps whose keys are free; and `words`,
every key that stands anywhere in its values or templates, in any version, also in comments: none of these is a slip.
"""
import json
import re
import subprocess
import sys

import yaml

DEPTH = 3
VERSIONS = 30
FREE = re.compile(
    r"(labels|annotations|selector|env|vars|config|ini|files?|spec|datasources|dashboards|providers|plugins|rules|overrides"
    r"|limits|requests|query|flags|args|secrets?|mounts|matchers|queries|notifiers|alerting|headers|parameters|attributes"
    r"|resources|data|volumes?|ruleNamespaces|map|crds|ldap|hostAliases|matchLabels|configs?|strategy|disabled|customRules)$",
    re.I,
)


def git(repository, *words):
    answer = subprocess.run(["git", "-C", repository, *words], capture_output=True, text=True)
    return answer.stdout if answer.returncode == 0 else ""


def collect(node, path, maps, depth):
    if not isinstance(node, dict) or depth > DEPTH:
        return
    name = path.rsplit(".", 1)[-1]
    if path and FREE.search(name):
        return
    if len(node) > 1 or not path:
        maps.setdefault(path, set()).update(k for k in node if isinstance(k, str))
    for key, value in node.items():
        if isinstance(key, str) and "." not in key:
            collect(value, f"{path}.{key}" if path else key, maps, depth + 1)


def every(node, words):
    if isinstance(node, dict):
        for key, value in node.items():
            words.add(str(key))
            every(value, words)
    elif isinstance(node, list):
        for value in node:
            every(value, words)


def commented(text, maps):
    """Keys that stand in comments, in the map that their column says."""
    around = []
    for line in text.splitlines():
        match = re.match(r"^( *)(# ?)?([a-z][A-Za-z0-9_-]*):", line)
        if not match:
            continue
        indent, comment, key = len(match[1]), match[2], match[3]
        while around and around[-1][0] >= indent:
            around.pop()
        path = ".".join(k for _, k in around)
        if comment and path in maps:
            maps[path].add(key)
        elif not comment:
            around.append((indent, key))


charts = {}
for word in sys.argv[1:]:
    place, chart = word.split("=")
    repository, folder = place.split(":")
    values = f"{folder}/values.yaml"
    commits = git(repository, "log", "--format=%H", "--", values).split()
    step = max(1, len(commits) // VERSIONS)
    own = charts.setdefault(chart, {"maps": {}, "words": set()})
    newest = not own["maps"]
    for commit in [*commits[::step], commits[-1]]:
        text = git(repository, "show", f"{commit}:{values}")
        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError:
            continue
        if not isinstance(document, dict):
            continue
        if newest:
            collect(document, "", own["maps"], 1)
            commented(text, own["maps"])
            newest = False
        every(document, own["words"])
        own["words"].update(re.findall(r"^\s*#+\s*(?:- )?([A-Za-z][A-Za-z0-9_-]*):", text, re.M))
        templates = git(repository, "grep", "-ho", r"\.[A-Za-z][A-Za-z0-9_.-]*", commit, "--", f"{folder}/templates")
        for path in templates.split():
            own["words"].update(p for p in path.split(".") if p)
        templates = git(repository, "grep", "-ho", r'"[A-Za-z][A-Za-z0-9_-]*"', commit, "--", f"{folder}/templates")
        own["words"].update(p.strip('"') for p in templates.split())

# Below `loki` the chart hands most on to Loki as it is.
kept = ("loki", "loki.storage", "loki.image")
maps = charts.get("loki", {"maps": {}})["maps"]
for path in [p for p in maps if p.startswith("loki.") and p not in kept]:
    del maps[path]

out = {
    chart: {"maps": {p: sorted(k) for p, k in sorted(own["maps"].items())}, "words": sorted(own["words"])}
    for chart, own in sorted(charts.items())
}
json.dump(out, sys.stdout, separators=(",", ":"), ensure_ascii=False)

"""A recorded state in a real API server: loaded, compared, and put back as it was."""

import base64
import concurrent.futures
import copy
import functools
import gzip
import http.client
import json
import pathlib
import subprocess
import threading
import time

# What other objects of a state stand on comes first; what would refuse the others comes last.
FIRST = [
    "namespaces", "nodes", "storageclasses", "priorityclasses", "persistentvolumes", "serviceaccounts", "secrets", "configmaps",
    "deployments", "statefulsets", "daemonsets", "replicasets",
]
LAST = ["resourcequotas", "limitranges", "apiservices", "validatingwebhookconfigurations", "mutatingwebhookconfigurations"]
# Made by the API server or by controllers out of other objects.
DERIVED = {"componentstatuses", "events", "endpoints", "customresourcedefinitions"}
# Kinds that no command of a report changes: they are looked at only once a state held some.
RARE = {
    "certificatesigningrequests", "clustertrustbundles", "controllerrevisions", "csistoragecapacities", "deviceclasses",
    "ipaddresses", "leasecandidates", "podtemplates", "replicationcontrollers", "resourceclaims", "resourceclaimtemplates",
    "resourceslices", "servicecidrs", "storageversions", "volumeattributesclasses",
}
# What an object gets again when it is made.
OF_THE_SERVER = ["resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"]


def lists(bundle):
    """The Kubernetes lists of a bundle by API path: what was recorded of each namespace stands with what was recorded of all."""
    root = pathlib.Path(bundle) / "kubernetes"
    found = {}
    for path in sorted(root.rglob("*.json*")):
        name = path.name.removesuffix(".gz")
        if not name.endswith(".json") or name.endswith(".error.json"):
            continue
        data = json.loads(gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes())
        if not isinstance(data, dict) or not isinstance(data.get("items"), list):
            continue
        parts = path.relative_to(root).with_name(name.removesuffix(".json")).parts
        if "namespaces" in parts[:-1]:
            at = parts.index("namespaces")
            parts = parts[:at] + parts[at + 2:]
        found.setdefault("/".join(parts), []).extend(data["items"])
    return found


class Cluster:
    """The API server of the current kubeconfig, through `kubectl proxy`, and the state that was loaded into it."""

    def __init__(self):
        server = subprocess.run(["kubectl", "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"], capture_output=True, text=True)
        if not server.stdout.startswith("https://127.0.0.1:"):
            raise SystemExit(f"not an API server on loopback: {server.stdout or server.stderr}")
        self.proxy = subprocess.Popen(["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True)
        self.port = int(self.proxy.stdout.readline().rsplit(":", 1)[1])
        self.local = threading.local()
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        self.held = None
        # What owns others has another uid each time that it is made: kind, namespace and name to it.
        self.uids = {}
        self.discover()
        self.own = set(self.objects())
        self.held = set()
        left = sorted({key[2] for key in self.own} - {"", "default", "kube-system", "kube-public", "kube-node-lease"})
        if left:
            raise SystemExit(f"not an empty API server: a run that did not end may have left namespaces {', '.join(left)}")
        self.state = {}

    def close(self):
        self.restore({})
        self.pool.shutdown()
        self.proxy.terminate()

    def call(self, method, path, body=None):
        """Status and answer of one request."""
        for fresh in (False, True):
            if fresh or not hasattr(self.local, "http"):
                self.local.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                self.local.http.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
                answer = self.local.http.getresponse()
                text = answer.read()
                return answer.status, json.loads(text) if text.startswith(b"{") else {"message": text.decode()}
            except (http.client.HTTPException, OSError):
                if fresh:
                    raise
        raise AssertionError("unreachable")

    def discover(self):
        """All resources that can be listed: (API path, plural) to kind and scope."""
        self.resources = {}
        groups = self.call("GET", "/apis")[1].get("groups", [])
        versions = ["api/v1"] + ["apis/" + v["groupVersion"] for group in groups for v in group["versions"]]
        for version in versions:
            for resource in self.call("GET", "/" + version)[1].get("resources", []):
                if {"list", "create", "delete"} <= set(resource["verbs"]) and "/" not in resource["name"]:
                    self.resources[(version, resource["name"])] = (resource["kind"], resource["namespaced"])

    def is_rare(self, version, plural):
        """A kind of which no state held one so far: of custom ones all but those that commands make."""
        group = version.split("/")[1]
        custom = "." in group and not group.endswith((".k8s.io", "monitoring.coreos.com", "kyverno.io"))
        return (custom or plural in RARE) and (group, plural) not in self.held

    def revision(self):
        """The revision of the store: as long as it stays, nothing was written."""
        return self.call("GET", "/api/v1/namespaces?limit=1")[1].get("metadata", {}).get("resourceVersion")

    def objects(self, plurals=None):
        """Every object, or those of some kinds: (API path, plural, namespace, name) to the object."""
        skipped = {"events", "leases", "endpoints"}
        rare = {key for key in self.resources if self.is_rare(*key)} if self.held is not None else set()
        # The preferred version of each kind stands for all; it comes first.
        kinds = {}
        for version, plural in self.resources:
            if plural not in skipped and (version, plural) not in rare and (plurals is None or plural in plurals):
                kinds.setdefault((version.rsplit("/", 1)[0], plural), (version, plural))
        keys = list(kinds.values())
        found = {}
        for (version, plural), (_, answer) in zip(keys, self.pool.map(lambda key: self.call("GET", f"/{key[0]}/{key[1]}"), keys)):
            for item in answer.get("items") or []:
                # The API server itself registers what definitions bring, some time after them.
                if plural == "apiservices" and "kube-aggregator.kubernetes.io/automanaged" in item["metadata"].get("labels", {}):
                    continue
                found[(version, plural, item["metadata"].get("namespace", ""), item["metadata"]["name"])] = item
        return found

    def url(self, key, name=True):
        version, plural, namespace, own = key
        base = f"/{version}/namespaces/{namespace}/{plural}" if namespace else f"/{version}/{plural}"
        return f"{base}/{own}" if name else base

    def load(self, bundle, absent, namespaces):
        """Puts a bundle's state in place of the one before. The answer says what could not be loaded."""
        wanted = {}
        for path, items in lists(bundle).items():
            version, plural = path.rsplit("/", 1)
            if plural in DERIVED or ".metrics.k8s.io/" in path or "/metrics.k8s.io" in path:
                continue
            if items and (version, plural) not in self.resources:
                self.define(version, plural, items)
            for item in items:
                if plural == "apiservices" and not item["spec"].get("service"):
                    continue
                meta = item["metadata"]
                wanted[(version, plural, meta.get("namespace", ""), meta["name"])] = item
        stand_in(wanted, absent, namespaces)
        self.held |= {(key[0].split("/")[1], key[1]) for key in wanted}
        return self.restore(wanted)

    def define(self, version, plural, items):
        """A custom resource that keeps all fields, unless the server has its real definition."""
        group, short = version.removeprefix("apis/").split("/")
        if "." not in group:
            return
        kind = items[0].get("kind") or KINDS.get(plural) or plural.removesuffix("s").capitalize()
        scope = "Namespaced" if any(i["metadata"].get("namespace") for i in items) else "Cluster"
        names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": kind + "List"}
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        # Argo CD writes the status of its Applications with all else.
        parts = {} if group == "argoproj.io" else {"status": {}}
        one = {"name": short, "served": True, "storage": True, "subresources": parts, "schema": schema}
        self.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": scope, "names": names, "versions": [one]}})
        for _ in range(50):
            if self.call("GET", f"/{version}/{plural}")[0] == 200:
                break
            time.sleep(0.1)
        self.discover()
        self.own |= {key for key in self.objects() if key[1] == "customresourcedefinitions"}

    def restore(self, wanted=None, have=None):
        """Makes the server hold the state again (or another one): what differs is deleted and recreated. `have` is what there
        is, where that is known."""
        before = {} if wanted is not None else self.state
        self.wanted = wanted if wanted is not None else self.wanted
        have = self.objects() if have is None else have
        same = {key for key, item in before.items() if key in have and version_of(have[key]) == version_of(item)}
        if any(key not in same for key in [*self.wanted, *have] if key not in self.own):
            # Admission would judge what is made again.
            same = {key for key in same if key[1] not in LAST}
        # Whoever is owned by what is made again names it by its new uid.
        again = {(self.resources[key[:2]][0], key[2], key[3]) for key in self.wanted if key not in same and key[:2] in self.resources}
        for key in list(same):
            owners = self.wanted.get(key, {}).get("metadata", {}).get("ownerReferences", [])
            if any({(o["kind"], key[2], o["name"]), (o["kind"], "", o["name"])} & again for o in owners):
                same.discard(key)
        old = [key for key in have if key not in self.own and key not in same]
        # What would refuse goes first, what others lie in last.
        for key in sorted(old, key=lambda k: (k[1] == "namespaces", k[1] not in LAST)):
            self.delete(key)
        missing = [key for key in self.wanted if key not in same]
        rank = {plural: at for at, plural in enumerate(FIRST)} | {plural: 1000 + at for at, plural in enumerate(LAST)}
        wrong = []
        for plural in sorted({key[1] for key in missing}, key=lambda p: (rank.get(p, 500), p)):
            wrong += [w for w in self.pool.map(self.create, [k for k in missing if k[1] == plural]) if w]
        # What the API server makes beside what was made is looked at, too.
        touched = {key[1] for key in [*old, *missing]} | {"endpointslices", "apiservices"}
        now = {key: item for key, item in have.items() if key[1] not in touched} | self.objects(touched)
        self.state = {key: item for key, item in now.items() if key not in self.own or key in self.wanted}
        return wrong

    def delete(self, key):
        url = self.url(key)
        for _ in range(10):
            self.call("DELETE", url, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
            status, item = self.call("GET", url)
            if status == 404:
                return
            self.release(key, item)

    def release(self, key, item):
        """Takes the finalizers of an object that waits for a controller or kubelet; there is none."""
        item["metadata"]["finalizers"] = []
        if key[1] == "namespaces":
            item["spec"]["finalizers"] = []
            self.call("PUT", self.url(key) + "/finalize", item)
        else:
            self.call("PUT", self.url(key), item)
            self.call("DELETE", self.url(key), {"gracePeriodSeconds": 0})

    def create(self, key):
        """Makes one object, then its status."""
        version, plural, namespace, name = key
        if (version, plural) not in self.resources:
            return f"{plural} {name}: the server does not know this kind"
        item = copy.deepcopy(self.wanted[key])
        for field in OF_THE_SERVER:
            item["metadata"].pop(field, None)
        item["apiVersion"] = version.removeprefix("apis/").removeprefix("api/")
        item["kind"] = self.resources[(version, plural)][0]
        if plural == "services" and item["spec"].get("clusterIP") != "None":
            item["spec"].pop("clusterIP", None)
            item["spec"].pop("clusterIPs", None)
        if plural == "secrets":
            # A recording holds names and types of Secrets, never values; some are made up.
            item.setdefault("data", {"one": "b25l", "two": "dHdv", "tls.crt": certificate()})
            item["type"] = item.get("type", "Opaque") if item.get("type", "").startswith("helm.sh/") else "Opaque"
        for owner in item["metadata"].get("ownerReferences", []):
            owner.setdefault("apiVersion", "v1")
            made = self.uids.get((owner["kind"], namespace, owner["name"])) or self.uids.get((owner["kind"], "", owner["name"]))
            owner["uid"] = made or owner.get("uid") or owner["name"]
        if plural == "persistentvolumes":
            item["spec"].setdefault("accessModes", ["ReadWriteOnce"])
            item["spec"].setdefault("capacity", {"storage": "1Gi"})
            if not {"csi", "awsElasticBlockStore", "nfs", "local", "hostPath"} & set(item["spec"]):
                item["spec"]["hostPath"] = {"path": "/data"}
        if plural == "pods":
            for field in ("priority", "priorityClassName", "preemptionPolicy", "runtimeClassName"):
                item["spec"].pop(field, None)
        complete(plural, item)
        state = item.get("status")
        status, made = self.call("POST", self.url(key, name=False), item)
        if status == 409:
            status, made = self.call("GET", self.url(key))
        if status >= 300:
            return f"{plural} {namespace}/{name}: {made.get('message', status)[:200]}"
        self.uids[(item["kind"], namespace, name)] = made["metadata"]["uid"]
        if state:
            made["status"] = state
            self.call("PUT", self.url(key) + "/status", made)
        return None

    def changes(self):
        """What differs from the state: key to (before, now), None where there is no such object."""
        now = self.objects()
        keys = sorted((set(now) | set(self.state)) - (self.own - set(self.state)))
        found = {}
        for key in keys:
            old, new = self.state.get(key), now.get(key)
            if old is None or new is None or version_of(old) != version_of(new):
                found[key] = (old, new)
        return found

    def let_go(self, stop):
        """Until told to stop: ends the deletions that wait for a controller or kubelet."""
        waits = {"persistentvolumeclaims", "persistentvolumes", "pods", "namespaces", "statefulsets", "deployments", "daemonsets", "nodes"}
        while not stop.wait(0.3):
            for key, item in self.objects().items():
                if key[1] in waits and item["metadata"].get("deletionTimestamp"):
                    self.release(key, item)


@functools.cache
def certificate():
    """What stands in for a certificate, as a Secret holds it."""
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=stand-in",
                           "-addext", "subjectAltName=DNS:stand-in", "-days", "2"], capture_output=True, check=True)
    return base64.b64encode(made.stdout).decode()


def complete(plural, item):
    """What the API server wants to have of an object and a recording need not hold."""
    if plural == "endpointslices":
        item.setdefault("addressType", "IPv4")
    for webhook in item.get("webhooks", []):
        webhook.setdefault("sideEffects", "None")
        webhook.setdefault("admissionReviewVersions", ["v1"])
        webhook.setdefault("clientConfig", {"url": "https://127.0.0.1/none"})
    if plural == "apiservices":
        item["spec"].setdefault("groupPriorityMinimum", 100)
        item["spec"].setdefault("versionPriority", 100)
    if plural not in {"pods", "deployments", "statefulsets", "daemonsets", "replicasets", "jobs"}:
        return
    spec = item["spec"]
    if plural != "pods" and plural != "jobs":
        labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
        chosen = spec.setdefault("selector", {}).setdefault("matchLabels", dict(labels) or {"app": item["metadata"]["name"]})
        labels.update(chosen)
    pod = spec if plural == "pods" else spec.setdefault("template", {}).setdefault("spec", {})
    if not pod.get("containers"):
        pod["containers"] = [{"name": "main", "image": "none"}]
    if plural == "jobs":
        pod.setdefault("restartPolicy", "Never")
    if pod.get("dnsPolicy") == "None":
        pod.setdefault("dnsConfig", {"nameservers": ["192.0.2.1"]})
    mounts = [mount for container in [*pod["containers"], *pod.get("initContainers", [])] for mount in container.get("volumeMounts", [])]
    known = [*pod.get("volumes", []), *(made["metadata"] for made in spec.get("volumeClaimTemplates", []))]
    missing = {mount["name"] for mount in mounts} - {volume["name"] for volume in known}
    if missing:
        pod["volumes"] = [*pod.get("volumes", []), *({"name": name, "emptyDir": {}} for name in sorted(missing))]


def secrets_of(value, of=""):
    """Names of the Secrets that an object names."""
    found = set()
    if isinstance(value, dict):
        if isinstance(value.get("secretName"), str):
            found.add(value["secretName"])
        if of == "secretKeyRef" or of.startswith("additional") and "key" in value:
            found.add(value.get("name"))
        for key, inner in value.items():
            found |= secrets_of(inner, key)
    elif isinstance(value, list):
        for inner in value:
            found |= secrets_of(inner)
    return found - {None}


def stand_in(wanted, absent, namespaces):
    """Adds what a recording need not hold: namespaces, nodes, ServiceAccounts of pods and Secrets by their names. `absent`
    are names of what is known not to exist."""
    for key, item in list(wanted.items()):
        if key[1] == "pods":
            account = item["spec"].get("serviceAccountName", "default")
            wanted.setdefault(("api/v1", "serviceaccounts", key[2], account), {"metadata": {"name": account, "namespace": key[2]}})
            if item["spec"].get("nodeName"):
                wanted.setdefault(("api/v1", "nodes", "", item["spec"]["nodeName"]), {"metadata": {"name": item["spec"]["nodeName"]}})
        for name in secrets_of(item) - absent:
            wanted.setdefault(("api/v1", "secrets", key[2], name), {"metadata": {"name": name, "namespace": key[2]}})
    for namespace in ({key[2] for key in wanted} | namespaces | {"default"}) - {""}:
        if namespace != "default":
            wanted.setdefault(("api/v1", "namespaces", "", namespace), {"metadata": {"name": namespace}})
        wanted.setdefault(("api/v1", "serviceaccounts", namespace, "default"), {"metadata": {"name": "default", "namespace": namespace}})


def version_of(item):
    """What differs once people have changed an object; the API server itself writes the status of an APIService."""
    meta = item["metadata"]
    return meta.get("uid"), json.dumps(item["spec"]) if "groupPriorityMinimum" in item.get("spec", {}) else meta.get("resourceVersion")


KINDS = {
    "prometheuses": "Prometheus", "alertmanagers": "Alertmanager", "servicemonitors": "ServiceMonitor", "podmonitors": "PodMonitor",
    "probes": "Probe", "scrapeconfigs": "ScrapeConfig", "prometheusrules": "PrometheusRule", "thanosrulers": "ThanosRuler",
    "prometheusagents": "PrometheusAgent", "alertmanagerconfigs": "AlertmanagerConfig",
}

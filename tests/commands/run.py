#!/usr/bin/env python3
"""Runs every command of the reports of some bundles against a real API server, and compares what it did with what it says.

usage: KDOCTOR_TEST_KUBECONFIG=FILE run.py --kdoctor BINARY [--list] [--known FILE] BUNDLE...

The API server is an empty one of your own on loopback: everything that was not there at the start is deleted. Neither controllers
nor kubelets are needed; what needs them (logs, exec, a rollout that ends) is counted as such, once the API server knows pod
and container. Programs other than kubectl are not run, but for aws where KDOCTOR_TEST_AWS_ENDPOINT names a stand-in.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True

from cluster import Cluster, version_of

NOT_RUN = ["helm", "eksctl", "curl", "docker", "flux", "argocd", "ssh", "dig", "nslookup", "session-manager-plugin", "sleep", "kdoctor", "kubeseal", "skopeo", "vault"]
# What kubelets, aggregated APIs and Services would answer.
NOBODY_THERE = re.compile(
    r"error dialing backend|no such host|no preferred addresses|proxy error|no endpoints available|error trying to reach service|Metrics API not available|"
    r"metrics not available|unable to upgrade connection|dial tcp|address not allowed|pod is not running|pod .* does not have a host assigned|"
    r"exceeded its progress deadline|currently unable to handle the request|the server is currently unable|timed out waiting|egress|connection refused|ServiceUnavailable|"
    r"unable to forward port because pod is not running|cannot exec into a container in a completed pod|InternalError|an error on the server")
# Programs in their usual places, and what they write, that the recording of a stack need not hold.
BESIDE = {"cluster-autoscaler-status", "cluster-autoscaler", "sealed-secrets-controller", "external-secrets", "cert-manager"}
MISSING = re.compile(r'(?:\(NotFound\):|no objects passed to scale) (\w+)[.\w-]* "([^"]+)" not found')
CHANGING = re.compile(r"\bkubectl (patch|set|label|annotate|scale|apply|delete|create|replace|cordon|uncordon|taint|rollout (restart|undo))\b")
TAKES_AWAY = re.compile(r"\bnull\b|\"value\":{}|op\W+(remove|replace|move)|rollout undo|kubectl uncordon|kubectl (label|annotate) .*-( |$)|(unset|-)=?$")
ANSWERS_BY_ITS_CODE = re.compile(r"kubectl (diff|auth can-i)\b|\b(grep|printenv)\b")
# What only ends once something has happened that nobody does here: it is asked for a moment.
WAITS = re.compile(r"kubectl (rollout status|wait|port-forward|proxy|attach)\b|kubectl .*(--watch|--follow| -w| -f\b(?! -))( |$)")
# What leaves a pod behind, although it is to look only.
LEAVES_A_POD = re.compile(r"kubectl (debug|run)\b")
# What the first version of the AWS CLI does not know.
NEWER = re.compile(r"\baws (sso|configure list-profiles)\b")
ERRORS_OF_AWS = re.compile(r"Unknown options|invalid choice|the following arguments are required|Parameter validation failed|Error parsing parameter")


class Runner:
    def __init__(self, cluster, kdoctor, folder):
        self.cluster, self.kdoctor, self.folder = cluster, kdoctor, folder
        self.problems, self.counts, self.left_out = [], collections.Counter(), collections.Counter()
        # Commands that were run, from the state of whichever bundle.
        self.known = set()
        # Why a command was not run to its end, and which.
        self.reasons = collections.defaultdict(set)
        self.env = dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}", KUBE_EDITOR="true", NOT_RUN_LOG=f"{folder}/not-run")
        # What another state had on the same port is not known any more.
        self.env["KUBECACHEDIR"] = f"{folder}/cache"
        self.env.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="eu-west-1", AWS_PAGER="")
        endpoint = os.environ.get("KDOCTOR_TEST_AWS_ENDPOINT")
        if endpoint:
            self.env["AWS_ENDPOINT_URL"] = endpoint
        for program in NOT_RUN + ([] if endpoint else ["aws"]):
            stand_in = pathlib.Path(folder) / program
            # What later steps need of it is an id.
            answer = "echo vol-0a1b2c3d4e5f60718\n" if program == "aws" else ""
            stand_in.write_text(f'#!/bin/sh\necho {program} >> "$NOT_RUN_LOG"\n{answer}')
            stand_in.chmod(0o755)

    def bundle(self, path):
        """All reports' commands of one bundle."""
        out = subprocess.run([self.kdoctor, "monitoring", "--from", path, "--output", "json"], capture_output=True, text=True)
        findings = json.loads(out.stdout).get("findings", [])
        ways = [(f, way) for f in findings for way in sequences(f["remediation"]) if self.is_new(way)]
        if not ways:
            return
        self.subjects = {s.get("name") for f in findings for s in f["subjects"]}
        steps = [step["command"] for f in findings for step in f["remediation"]["steps"]]
        named = {name for command in steps for name in re.findall(r" -n ([a-z0-9][a-z0-9-]*)", command)} - self.subjects
        self.wrong = self.cluster.load(path, self.subjects, named)
        for wrong in self.wrong:
            self.counts["not loaded"] += 1
            if self.verbose:
                print(f"  {path}: not loaded: {wrong}")
        self.reads = set()
        self.state, self.seen = self.cluster.state, None
        for finding, way in ways:
            if self.is_new(way):
                self.sequence(path, finding, way)
                self.known |= {step["command"] for step in way}

    def is_new(self, way):
        """Whether a way has a command that was not run yet in the same words."""
        return self.all or any(s["command"] not in self.known for s in way if s["kind"] in ("command", "manifest"))

    def sequence(self, path, finding, steps):
        """Steps that follow each other, from the state as it was recorded."""
        if self.state is not self.cluster.state:
            self.state, self.seen = self.cluster.state, None
        self.gone, self.awaited, self.fetched, self.unfilled = set(), False, False, False
        dirty = False
        with tempfile.TemporaryDirectory() as here:
            for step in steps:
                if step["kind"] not in ("command", "manifest"):
                    self.awaited |= step["kind"] == "edit"
                    continue
                reading = step["risk"] == "read-only"
                if reading and not dirty and step["command"] in self.reads and not LEAVES_A_POD.search(step["command"]):
                    continue
                for problem in self.step(step, here):
                    where = f"{pathlib.Path(path).name} {finding['check']}"
                    self.problems.append((where, problem, step["command"]))
                    print(f"{where}: {problem}\n    {step['command']}", flush=True)
                if reading and not dirty:
                    self.reads.add(step["command"])
                dirty |= not reading or bool(LEAVES_A_POD.search(step["command"]))
        # Reads alone are judged together.
        changed = self.compare()
        if not dirty and changed:
            print(f"{path} {finding['check']}: read-only steps changed {names(changed)}")
            self.problems.append((path, "read-only steps changed the state", ""))
        if dirty or changed:
            for wrong in self.cluster.restore(have=self.now):
                if self.verbose and wrong not in self.wrong:
                    print(f"  {path}: not restored: {wrong}")

    def step(self, step, here):
        """Runs one step. The answer is what is wrong with it."""
        command = self.filled(step)
        if command is None:
            self.awaited = True
            return self.excused("asks for a value", step)
        if NEWER.search(command):
            return self.excused("aws: of version 2", step)
        changing = step["risk"] != "read-only"
        code, text = self.run(command, here, changing)
        if self.stood_in():
            self.awaited = True
            return []
        self.awaited |= "kubectl edit " in command
        self.fetched |= "kubectl apply" in command and "https://" in command
        changed = self.take_over() if changing or LEAVES_A_POD.search(command) else {}
        if code is None:
            return self.excused("waits", step)
        if code == 1 and not changing and ANSWERS_BY_ITS_CODE.search(command):
            code = 0
        if code:
            reason = self.excuse(command, text)
            if reason:
                self.unfilled |= "kubectl exec" in command and " > " in command
                return self.excused(reason, step)
            self.counts["failed"] += 1
            return [f"exit {code}: {' '.join(text.split())[:300]}"]
        self.counts["ran"] += 1
        if not changing:
            return []
        if not changed and (step.get("back") or self.awaited and re.search(r" < \S", command)):
            # It puts back what people were to change, or what another way changes.
            return []
        chosen = re.search(r"kubectl delete (\w+) .*-l ", command)
        if not changed and chosen and chosen[1].removesuffix("s") not in self.recorded_kinds():
            return self.excused("an object of a kind that the recording lacks", step)
        return list(promise(command, changed))

    def filled(self, step):
        """The command with the first candidate of each value. None where there is no candidate."""
        command = step["command"]
        for placeholder in step.get("placeholders", []):
            if not placeholder["candidates"]:
                return None
            name, first = placeholder["name"], placeholder["candidates"][0]
            command = command.replace(f"'<{name}>'", shlex.quote(first)).replace(f"<{name}>", first)
        return None if re.search(r"<[a-z][a-z -]*>", command) else command

    def excused(self, reason, step):
        """Counts a command that could not be run to its end."""
        self.counts[reason] += 1
        self.reasons[reason].add(step["command"])
        return []

    def excuse(self, command, text):
        """Why a command may have failed here that would not fail in the cluster that was recorded."""
        if NOBODY_THERE.search(text):
            return "nobody there"
        if "aws" in command and not ERRORS_OF_AWS.search(text) and not re.search(r"\(NotFound\)|^error: ", text):
            return "aws: not in the stand-in"
        if re.search(r"server doesn't have a resource type|no matches for kind|could not find the requested resource", text):
            return "a kind that the recording lacks"
        if "kubectl explain " in command and "does not exist" in text:
            # Definitions are this tool's own, and have no schema.
            return "a kind that the recording lacks"
        if "file://" in command and "Invalid length for parameter" in text:
            return "a file that AWS did not fill"
        if self.awaited and re.search(r"(promtool|amtool) check|python3 -m json.tool", command):
            return "judges a file that people correct"
        if self.unfilled and "does not look like a tar archive" in text:
            return "a file that a pod did not fill"
        if re.search(r'the path "[^"]*" does not exist|[Nn]o such file', text) or "test -s " in command:
            self.awaited = True
            return "needs a file of the user"
        if "$(" in command and re.search(r"no name was specified|You must provide one or more resources", text):
            return "an object of a kind that the recording lacks"
        if self.is_unrecorded(text) or re.search(r"no rollout history found|no last revision to roll back", text):
            return "an object of a kind that the recording lacks"
        if self.is_there(text):
            return "nobody there"
        if all(name in self.subjects for _, name in MISSING.findall(text) or [("", "")]):
            return "missing, as the report says"
        if self.comes_again(text):
            return "comes again by a controller"
        if self.fetched and MISSING.search(text):
            return "made by a manifest from elsewhere"
        return None

    def take_over(self):
        """Makes what is there now the state that the next step is compared with. The answer is what changed."""
        changed = self.compare()
        self.state = self.now
        self.gone |= {key for key, (_, new) in changed.items() if new is None}
        return changed

    def is_there(self, text):
        """Whether all that is said to be missing exists: the API server says so of a Service without endpoints, too."""
        missing = MISSING.findall(text)
        there = {key[1:2] + key[3:] for key in self.state}
        return bool(missing) and all(one in there for one in missing)

    def is_unrecorded(self, text):
        """Whether the recording holds no object at all of the kinds that are missing, as only some kinds are read, or names
        them as owners of what it holds."""
        missing = MISSING.findall(text)
        kinds = {key[1] for key in self.cluster.wanted} - {"secrets"}
        owners = {o["name"] for item in self.cluster.wanted.values() for o in item["metadata"].get("ownerReferences", [])}
        owners |= {name.rsplit("-", 1)[0] for name in owners}
        return bool(missing) and all(plural not in kinds or name in owners | BESIDE for plural, name in missing)

    def recorded_kinds(self):
        """Kinds of which the recording holds objects, in the singular: others stand in for what those name. Of Secrets only
        some are read."""
        kinds = {key[1] for key, item in self.cluster.wanted.items() if len(item) > 1} - {"secrets"}
        return {kind.removesuffix("s") for kind in kinds}

    def comes_again(self, text):
        """Whether all that is missing was deleted by an earlier step, and comes again under its name: by the controller of a
        StatefulSet or DaemonSet, or by a step that people do or that is not run here."""
        missing = MISSING.findall(text)
        def again(plural, name):
            key = next((k for k in self.gone if k[1] == plural and k[3] == name), None)
            if not key:
                return False
            owned = any(k[1] == "statefulsets" and name.startswith(k[3]) or k[3] in name and k[1] == "statefulsets" for k in self.cluster.state)
            return self.awaited or owned
        return bool(missing) and all(again(*one) for one in missing)

    def run(self, command, here, changing):
        """Exit code (None: it still waited) and all output."""
        stop = threading.Event()
        helper = threading.Thread(target=self.cluster.let_go, args=(stop,))
        if changing and re.search(r"kubectl.* (delete|drain|replace)\b", command):
            helper.start()
        process = subprocess.Popen(["bash", "-c", in_one_shell(command)], cwd=here, env=self.env, text=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            text, _ = process.communicate(timeout=1 if WAITS.search(command) else 20 if changing else 5)
            return process.returncode, text
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None, ""
        finally:
            stop.set()
            if helper.is_alive():
                helper.join()

    def stood_in(self):
        """Whether the command ran a program that is not run here."""
        log = pathlib.Path(self.env["NOT_RUN_LOG"])
        if not log.exists():
            return False
        self.left_out.update(set(log.read_text().split()))
        log.unlink()
        return True

    def compare(self):
        """What changed since the last comparison."""
        revision = self.cluster.revision()
        if revision == self.seen and self.now is self.state:
            return {}
        self.seen = revision
        now = {k: v for k, v in self.cluster.objects().items() if k in self.cluster.state or k not in self.cluster.own}
        keys = sorted(set(now) | set(self.state))
        pairs = {key: (self.state.get(key), now.get(key)) for key in keys}
        changed = {k: (a, b) for k, (a, b) in pairs.items() if a is None or b is None or version_of(a) != version_of(b)}
        # What is the same is kept, so that it need not be compared until something is written.
        self.now = now if changed else self.state
        return changed


def in_one_shell(command):
    """The command with the variables that steps before it set, whose own are kept for those behind it."""
    own = sorted(set(re.findall(r"^([A-Z][A-Z_]+)=", command, re.MULTILINE)))
    keep = f"\ncode=$?; declare -p {' '.join(own)} >> .variables; exit $code" if own else ""
    return f"[ ! -f .variables ] || . ./.variables\n{command}{keep}"


def promise(command, changed):
    """What a command did that it does not say, or did not do that it says."""
    # Definitions are this tool's own: recordings hold their metadata only.
    if CHANGING.search(command) and not changed and "kubectl patch crd " not in command:
        yield "changed nothing: the state has it already"
    for key, (old, new) in changed.items():
        if old and old["metadata"].get("deletionTimestamp"):
            # It waited for its pod, and an earlier step deleted it.
            continue
        many = re.search(r" (-l|--selector|--all|-f|--field-selector|drain|--cascade)\b|\$\(kubectl get ", command)
        if key[3] not in command and not many:
            yield f"changed {key[1]} {key[2]}/{key[3]}, which it does not name"
        if old and new and not TAKES_AWAY.search(command):
            lost = sorted(leaves(old) - leaves(new))
            if lost:
                yield f"{key[1]} {key[3]} lost {', '.join(lost[:4])}"


def leaves(value, path=""):
    """The paths of all values; items of lists go by name where they have one."""
    if isinstance(value, dict):
        inner = {k: v for k, v in value.items() if path or k not in ("status",)}
        if path == ".metadata":
            inner = {k: v for k, v in inner.items() if k in ("labels", "annotations")}
        return set().union(*(leaves(v, f"{path}.{k}") for k, v in inner.items()))
    if isinstance(value, list):
        return set().union(*(leaves(v, f"{path}[{v.get('name', at) if isinstance(v, dict) else at}]") for at, v in enumerate(value)))
    return {path}


def sequences(fix):
    """A remediation's ways: what stands before the options, then each option, then the verification."""
    steps, options = fix["steps"], []
    for step in steps:
        if step.get("option") and step["option"] not in options:
            options.append(step["option"])
    for option in options or [None]:
        yield [s for s in steps if s.get("option") in (None, option)] + fix["verify"] + [{**s, "back": True} for s in fix["rollback"]]


def names(changed):
    return ", ".join(f"{key[1]} {key[3]}" for key in changed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kdoctor", required=True, help="the binary whose reports are run")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what of a bundle could not be loaded")
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--all", action="store_true", help="run each command for every bundle that has it, in the same words too")
    parser.add_argument("--known", help="a file of commands that were run before, to which those of this run are added")
    parser.add_argument("--list", action="store_true", help="list at the end what could not be run, and why")
    given = parser.parse_args()
    os.environ["KUBECONFIG"] = os.environ["KDOCTOR_TEST_KUBECONFIG"]
    cluster = Cluster()
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(cluster, given.kdoctor, folder)
        runner.verbose, runner.all = given.verbose, given.all
        known = pathlib.Path(given.known) if given.known else None
        if known and known.exists():
            runner.known = set(json.loads(known.read_text()))
        try:
            for at, bundle in enumerate(given.bundles, 1):
                if given.verbose:
                    print(f"{at}/{len(given.bundles)} {bundle}", file=sys.stderr, flush=True)
                runner.bundle(bundle)
                if known:
                    known.write_text(json.dumps(sorted(runner.known)))
        finally:
            cluster.close()
    print(f"{len(runner.problems)} problems;", ", ".join(f"{n} {what}" for what, n in sorted(runner.counts.items())))
    print("not run:", ", ".join(f"{n} {what}" for what, n in runner.left_out.most_common()))
    if given.list:
        for reason, commands in sorted(runner.reasons.items()):
            print(f"\n{reason}:", *sorted(commands), sep="\n    ")
    sys.exit(1 if runner.problems else 0)


if __name__ == "__main__":
    main()

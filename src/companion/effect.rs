//! What a command does, read from its words: what it changes, what it interrupts, what it deletes.

use super::kubectl::{Kubectl, dry_run};
use crate::model::Risk;
use crate::pages::{self, Call};

/// What is said of a manifest that is not in the command.
const OF_MANIFEST: &str = "makes or changes the objects of the manifest";

/// What one call does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// It looks.
    Looks,
    /// Objects are made or changed.
    Changes(String),
    /// Pods are replaced, or stopped for a while.
    Interrupts(String),
    /// Something is gone afterwards: how that is said, and its names.
    Deletes(String, Vec<String>),
    /// Nobody here knows.
    Unknown(String),
}

/// What a call of kubectl does.
fn of_kubectl(kubectl: &Kubectl) -> Effect {
    if kubectl.looks() {
        return Effect::Looks;
    }
    let shown = kubectl.shown();
    match kubectl.verb.as_str() {
        "delete" => Effect::Deletes(format!("deletes {shown}"), kubectl.names()),
        "rollout restart" => Effect::Interrupts(format!("replaces the pods of {shown}, one after the other")),
        "rollout undo" => {
            Effect::Interrupts(format!("goes back to an older revision of {shown}; its pods are replaced"))
        }
        "drain" => Effect::Interrupts(format!("evicts the pods of node {shown}")),
        "scale" => Effect::Interrupts(format!("changes the number of replicas of {shown}")),
        "cordon" | "uncordon" => Effect::Changes(format!("{}s node {shown}", kubectl.verb)),
        "exec" => Effect::Unknown(format!("runs a program in {shown}")),
        "debug" if !shown.starts_with("node/") => Effect::Changes(format!("puts a container into pod {shown}")),
        "run" | "debug" => Effect::Changes(format!("starts a pod: {shown}")),
        "port-forward" | "proxy" => Effect::Looks,
        "apply" | "create" | "replace" if kubectl.objects.is_empty() => Effect::Changes(OF_MANIFEST.to_owned()),
        verb => Effect::Changes(match verb.split_once(' ').unwrap_or((verb, "")) {
            ("patch" | "set" | "edit" | "label" | "annotate" | "taint", _) => format!("changes {shown}"),
            ("create", kind) => format!("makes {kind} {shown}"),
            _ => format!("runs kubectl {verb}: {shown}"),
        }),
    }
}

/// Whatever a command changes is in the cluster: AWS knows nothing of it.
pub(super) fn stays_in_cluster(command: &str) -> bool {
    pages::calls(command).iter().all(|call| {
        let program = call.program.rsplit('/').next().unwrap_or_default();
        matches!(program, "kubectl" | "helm") || of(call) == Effect::Looks
    })
}

/// What one call does.
pub(super) fn of(call: &Call) -> Effect {
    if let Some(kubectl) = Kubectl::of(call) {
        return of_kubectl(&kubectl);
    }
    let words: Vec<&str> = call.arguments.iter().map(String::as_str).filter(|w| !w.starts_with('-')).collect();
    let has = |flag: &str| call.arguments.iter().any(|a| a == flag || a.starts_with(&format!("{flag}=")));
    match call.program.rsplit('/').next().unwrap_or_default() {
        "command" if has("-v") || has("-V") => Effect::Looks,
        program @ ("eval" | "exec" | "command" | "source" | "." | "trap") => {
            Effect::Unknown(format!("runs what {program} is given"))
        }
        _ if call.is_of_the_shell() => Effect::Looks,
        "cat" | "jq" | "grep" | "head" | "tail" | "uniq" | "tr" | "cut" | "wc" | "base64" | "date" | "sleep" => {
            Effect::Looks
        }
        "sort" if !call.arguments.iter().any(|a| a.starts_with("-o") || a.starts_with("--o")) => Effect::Looks,
        "sed" if !call.arguments.iter().any(|a| is_in_place(a)) => Effect::Looks,
        "helm" => helm(&words, is_dry(call)),
        "aws" => aws(call),
        "eksctl" => eksctl(&words),
        "rm" => {
            Effect::Deletes(format!("deletes {}", words.join(" ")), words.iter().map(|w| (*w).to_owned()).collect())
        }
        program => Effect::Unknown(format!("runs {program}")),
    }
}

/// A flag of sed by which it writes its file: `-i.bak`, `-ni`, `--in-place`.
fn is_in_place(argument: &str) -> bool {
    let Some(short) = argument.strip_prefix('-') else { return false };
    match short.strip_prefix('-') {
        // GNU's sed takes the begin of a long flag, too.
        Some(long) => long.starts_with('i'),
        // Behind -e, -f and -l stands their value.
        None => short.chars().take_while(|c| !"efl".contains(*c)).any(|c| c == 'i' || c == 'I'),
    }
}

/// The last `--dry-run` counts; one that is switched off is none.
fn is_dry(call: &Call) -> bool {
    call.arguments.iter().filter_map(|word| dry_run(word)).next_back().unwrap_or(false)
}

fn helm(words: &[&str], is_dry: bool) -> Effect {
    let verb = words.iter().find(|w| w.chars().all(|c| c.is_ascii_lowercase())).copied().unwrap_or_default();
    let release = words.iter().skip_while(|w| **w != verb).nth(1).copied().unwrap_or_default();
    match verb {
        "list" | "ls" | "status" | "history" | "get" | "show" | "search" | "template" | "version" => Effect::Looks,
        "repo" | "registry" | "plugin" => Effect::Changes(format!("helm {verb}: on this machine alone")),
        _ if is_dry => Effect::Looks,
        "uninstall" | "delete" => Effect::Deletes(format!("uninstalls release {release}"), vec![release.to_owned()]),
        "rollback" => Effect::Interrupts(format!("goes back to an older revision of release {release}")),
        _ => Effect::Changes(format!("{verb}s release {release}")),
    }
}

fn eksctl(words: &[&str]) -> Effect {
    match words {
        ["get" | "info" | "version", ..] => Effect::Looks,
        ["delete", what, ..] => Effect::Deletes(format!("runs eksctl delete {what}"), Vec::new()),
        [verb, what, ..] => Effect::Changes(format!("runs eksctl {verb} {what}")),
        _ => Effect::Unknown("runs eksctl".to_owned()),
    }
}

/// The name of an operation says what it does.
fn aws(call: &Call) -> Effect {
    let is_word =
        |w: &&String| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let mut rest = call.arguments.iter();
    let mut words: Vec<&String> = Vec::new();
    let (mut values, mut flag) = (Vec::new(), "");
    for word in rest.by_ref() {
        if word.starts_with("--") {
            // Those that switch something off have no value.
            flag = if word.starts_with("--no-") { "" } else { word };
        } else if !flag.is_empty() {
            values.push((std::mem::take(&mut flag), word));
        } else {
            words.push(word);
        }
    }
    let mut words = words.into_iter().filter(is_word);
    let (Some(service), Some(operation)) = (words.next(), words.next()) else {
        return Effect::Unknown("runs aws".to_owned());
    };
    let verb = operation.split('-').next().unwrap_or_default();
    match verb {
        "describe" | "list" | "get" | "wait" | "simulate" | "lookup" => Effect::Looks,
        "delete" | "terminate" | "deregister" | "disassociate" | "detach" | "revoke" | "remove" => {
            let is_name = |flag: &str| ["-name", "-id", "-ids", "-arn", "-names"].iter().any(|end| flag.ends_with(end));
            let name = values.iter().rev().find(|(flag, _)| is_name(flag) && !flag.starts_with("--cluster"));
            Effect::Deletes(
                format!("runs aws {service} {operation}"),
                name.map(|(_, v)| (*v).clone()).into_iter().collect(),
            )
        }
        _ => Effect::Changes(format!("runs aws {service} {operation}")),
    }
}

/// What a command does, call by call; what only looks is left out.
pub(super) fn all(command: &str) -> Vec<Effect> {
    let named = manifests(command);
    let effect = |call: &Call| match of(call) {
        Effect::Changes(text) if text == OF_MANIFEST && !named.is_empty() => {
            Effect::Changes(format!("makes or changes {}", named.join(", ")))
        }
        effect => effect,
    };
    pages::calls(command).iter().map(effect).filter(|e| *e != Effect::Looks).collect()
}

/// Kind and name of the manifests that stand in a command.
fn manifests(command: &str) -> Vec<String> {
    let of = |document: &str| {
        let value = |key: &str| document.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        Some(format!("{} {}", value("kind:")?, value("  name:")?.trim_matches('"')))
    };
    command.split("\n---\n").filter_map(of).collect()
}

/// The names that a destructive command is about: what it deletes, else what it works on.
pub(super) fn destroyed(command: &str) -> Vec<String> {
    let deleted = all(command).into_iter().flat_map(|effect| match effect {
        Effect::Deletes(_, names) => names,
        _ => Vec::new(),
    });
    let deleted: Vec<String> = deleted.collect();
    let touched = || {
        let all: Vec<Kubectl> = pages::calls(command).iter().filter_map(Kubectl::of).filter(|k| !k.looks()).collect();
        all.iter().flat_map(Kubectl::names).collect::<Vec<String>>()
    };
    let names = if deleted.is_empty() { touched() } else { deleted }.into_iter();
    let mut known: Vec<String> = Vec::new();
    // What a substitution will give is no name yet.
    for name in names.filter(|n| !n.is_empty() && !n.contains(['$', '`', '<'])) {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    known
}

/// The risk of a command that a person wrote: at least that of what it was made from.
pub(super) fn risk(command: &str, before: Risk) -> Risk {
    let own = all(command).into_iter().map(|effect| match effect {
        Effect::Looks => Risk::ReadOnly,
        Effect::Changes(_) | Effect::Unknown(_) => Risk::Change,
        Effect::Interrupts(_) => Risk::Disruptive,
        Effect::Deletes(..) => Risk::Destructive,
    });
    own.max().unwrap_or(Risk::ReadOnly).max(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(command: &str) -> Vec<String> {
        let say = |effect| match effect {
            Effect::Looks => "looks".to_owned(),
            Effect::Changes(text) | Effect::Interrupts(text) | Effect::Unknown(text) | Effect::Deletes(text, _) => text,
        };
        all(command).into_iter().map(say).collect()
    }

    #[test]
    fn a_command_says_what_it_does() {
        for (command, expected) in [
            ("kubectl --context c get pods -n m", vec![]),
            ("kubectl delete pvc data-0 -n m", vec!["deletes pvc data-0 in namespace m"]),
            (
                "kubectl rollout restart deployment/web -n m",
                vec!["replaces the pods of deployment/web in namespace m, one after the other"],
            ),
            ("kubectl apply -f - <<'EOF'\na: 1\nEOF", vec![OF_MANIFEST]),
            (
                "kubectl apply -f - <<'EOF'\nkind: A\nmetadata:\n  name: x\n---\nkind: B\nmetadata:\n  name: \"y\"\nEOF",
                vec!["makes or changes A x, B y"],
            ),
            ("aws eks create-addon --cluster-name c --addon-name a", vec!["runs aws eks create-addon"]),
            ("aws --profile ops eks describe-addon --cluster-name c", vec![]),
            ("helm uninstall old -n m", vec!["uninstalls release old"]),
            ("helm repo add a https://b", vec!["helm repo: on this machine alone"]),
            ("kubectl delete pods -l app=old -n m", vec!["deletes pods with app=old in namespace m"]),
            ("kubectl --request-timeout 5s delete pvc x", vec!["deletes pvc x"]),
            ("kubectl --as-group ops -v 6 --certificate-authority ca delete pvc x", vec!["deletes pvc x"]),
            ("kubectl create secret generic s --from-literal a=b", vec!["makes secret generic s"]),
            ("kubectl patch pdb web -n m -p '{}'", vec!["changes pdb web in namespace m"]),
            ("kubectl set image deployment/web a=b:1 -n m", vec!["changes deployment/web in namespace m"]),
            ("kubectl autoscale deployment/web --max 3", vec!["runs kubectl autoscale: deployment/web"]),
            (
                "eksctl utils associate-iam-oidc-provider --approve",
                vec!["runs eksctl utils associate-iam-oidc-provider"],
            ),
            ("command -v jq", vec![]),
        ] {
            assert_eq!(shown(command), expected, "{command}");
        }
    }

    #[test]
    fn only_tools_of_the_cluster_stay_in_it() {
        for command in ["kubectl delete pvc x", "helm upgrade r c -n m", "kubectl get pvc x -o json | jq .spec"] {
            assert!(stays_in_cluster(command), "{command}");
        }
        for command in [
            "aws ec2 authorize-security-group-ingress --group-id sg-1",
            "R=$(aws iam create-role --role-name r) && kubectl annotate sa x a=\"$R\"",
            "eksctl create nodegroup -f f",
            "terraform apply",
        ] {
            assert!(!stays_in_cluster(command), "{command}");
        }
    }

    #[test]
    fn what_may_do_anything_does_not_only_look() {
        for command in [
            "eval \"$X\"",
            "exec rm x",
            "command rm x",
            "source ./x",
            ". ./x",
            "trap 'rm x' EXIT",
            "sed -i s/a/b/ f",
            "sed -i.bak s/a/b/ f",
            "sed -ni s/a/b/ f",
            "sed --in-place=.bak s/a/b/ f",
            "sort -o f f",
            "kubectl delete pvc x --dry-run=none",
            "kubectl delete pvc x --dry-run=false",
            "kubectl delete pvc x --dry-run=server --dry-run=none",
            "helm uninstall a --dry-run=none",
            "helm uninstall a --dry-run=false",
        ] {
            assert!(!all(command).is_empty(), "{command}");
            assert!(risk(command, Risk::ReadOnly) > Risk::ReadOnly, "{command}");
        }
        for command in [
            "sed -n -e s/i/b/ f",
            "sed -es/i/b/ f",
            "kubectl delete pvc x --dry-run=server",
            "kubectl delete pvc x --dry-run",
            "helm upgrade a b --dry-run=server",
        ] {
            assert!(all(command).is_empty(), "{command}");
        }
    }

    #[test]
    fn what_is_destroyed_is_named() {
        assert_eq!(destroyed("kubectl --context c delete pvc a b -n m"), ["a", "b"]);
        assert_eq!(destroyed("kubectl delete statefulset/db pod/db-0 -n m --cascade orphan"), ["db", "db-0"]);
        assert_eq!(destroyed("aws ec2 delete-route --route-table-id rtb-1 --region r"), ["rtb-1"]);
        assert_eq!(destroyed("helm uninstall old -n m"), ["old"]);
        assert_eq!(destroyed("kubectl exec -n m db-0 -- mv /wal /wal.broken"), ["db-0"]);
        assert_eq!(destroyed("kubectl drain node-a --ignore-daemonsets"), ["node-a"]);
        assert_eq!(destroyed("kubectl delete clusterrole -l app=old"), Vec::<String>::new());
        assert_eq!(destroyed("kubectl get x"), Vec::<String>::new());
        assert_eq!(destroyed("kubectl delete $(kubectl get pv -o name)"), Vec::<String>::new());
    }

    #[test]
    fn an_edited_command_is_as_risky_as_what_it_does() {
        assert_eq!(risk("kubectl get x", Risk::ReadOnly), Risk::ReadOnly);
        assert_eq!(risk("kubectl get x", Risk::Change), Risk::Change);
        assert_eq!(risk("kubectl delete ns x", Risk::Change), Risk::Destructive);
        assert_eq!(risk("kubectl rollout restart deployment/x", Risk::ReadOnly), Risk::Disruptive);
        assert_eq!(risk("./script.sh", Risk::ReadOnly), Risk::Change);
    }
}

//! The words of Helm and of the API server, taken apart.

use std::collections::BTreeSet;

use super::Refusal;
use crate::domain::kubernetes::forbidden;
use crate::domain::kubernetes::stored_version;
use crate::text::pattern::pattern;

/// Where hooks run.
const HOOKS: &[&str] =
    &["pre-install", "pre-upgrade", "post-install", "post-upgrade", "pre-rollback", "post-rollback", "pre-delete"];

/// What a text says that Helm was refused: several objects of one upgrade stand in one line.
pub(crate) fn read(text: &str) -> Vec<Refusal> {
    let text = text.replace("\\\"", "\"");
    let is_upgrade = text.contains("UPGRADE FAILED") || text.to_ascii_lowercase().contains("upgrade failed");
    let mut found: Vec<Refusal> = Vec::new();
    for part in text.split(" && ") {
        if let Some(refusal) = one(part, is_upgrade).filter(|r| !found.contains(r)) {
            found.push(refusal);
        }
    }
    found
}

fn one(text: &str, is_upgrade: bool) -> Option<Refusal> {
    owned(text)
        .or_else(|| stored_version::read(text).map(Refusal::StoredVersion))
        .or_else(|| immutable(text, is_upgrade))
        .or_else(|| no_kind(text))
        .or_else(|| unknown_field(text))
        .or_else(|| too_long(text))
        .or_else(|| record_too_large(text))
        .or_else(|| conflict(text))
        .or_else(|| doubled(text))
        .or_else(|| no_value(text))
        .or_else(|| not_text(text))
        .or_else(|| long_name(text))
        .or_else(|| hook(text))
        .or_else(|| text.contains("cannot re-use a name that is still in use").then_some(Refusal::NameInUse))
        .or_else(|| {
            text.contains("another operation (install/upgrade/rollback) is in progress").then_some(Refusal::AtWork)
        })
        .or_else(|| no_deployed(text))
        .or_else(|| schema(text))
        .or_else(|| kube_version(text))
        .or_else(|| missing_charts(text))
        .or_else(|| template(text))
        .or_else(|| quota(text))
        .or_else(|| if is_upgrade || is_install(text) { refused(text) } else { None })
}

/// Helm says that it was to install.
fn is_install(text: &str) -> bool {
    text.contains("INSTALLATION FAILED") || text.to_ascii_lowercase().contains("install failed")
}

/// What others than Helm are refused in the same words.
fn refused(text: &str) -> Option<Refusal> {
    escalates(text).or_else(|| rights(text)).or_else(|| wrong_type(text)).or_else(|| invalid(text))
}

/// `"prometheus-stack" has no deployed releases`.
fn no_deployed(text: &str) -> Option<Refusal> {
    let (before, _) = text.split_once("\" has no deployed releases")?;
    Some(Refusal::NoDeployed { release: before.rsplit('"').next()?.to_owned() })
}

/// `values don't meet the specifications of the schema(s) in the following chart(s): grafana: - (root): Additional property x is
/// not allowed`; Helm 3.18 and later: `- at '': additional properties 'x' not allowed`.
fn schema(text: &str) -> Option<Refusal> {
    let (_, faults) =
        text.split_once("values don't meet the specifications of the schema(s) in the following chart(s):")?;
    Some(Refusal::Schema { faults: faults.split_whitespace().collect::<Vec<_>>().join(" ") })
}

/// `chart requires kubeVersion: >=1.25.0-0 which is incompatible with Kubernetes v1.24.17-eks-1`.
fn kube_version(text: &str) -> Option<Refusal> {
    let found = pattern!(r"chart requires kubeVersion: (.+?) which is incompatible with Kubernetes (v[\w.+-]+)")
        .captures(text)?;
    Some(Refusal::KubeVersion { wanted: found[1].to_owned(), has: found[2].to_owned() })
}

/// `found in Chart.yaml, but missing in charts/ directory: grafana, kube-state-metrics`.
fn missing_charts(text: &str) -> Option<Refusal> {
    let (_, names) = text.split_once("found in Chart.yaml, but missing in charts/ directory: ")?;
    Some(Refusal::MissingCharts { names: names.trim().trim_end_matches('.').to_owned() })
}

/// `execution error at (chart/templates/x.yaml:36:28): …`; `YAML parse error on chart/templates/x.yaml: error converting YAML to
/// JSON: …`; `parse error at (chart/templates/x.yaml:12): …`; `template: chart/templates/x.yaml:12:4: executing "…" at <…>: …`.
fn template(text: &str) -> Option<Refusal> {
    let of =
        |found: regex::Captures<'_>| Refusal::Template { file: found[1].to_owned(), says: found[2].trim().to_owned() };
    pattern!(r"(?:execution|parse) error at \(([^)]+)\): (.+)")
        .captures(text)
        .or_else(|| pattern!(r"YAML parse error on (\S+): (?:error converting YAML to JSON: )?(.+)").captures(text))
        .or_else(|| {
            pattern!(r"template: (\S+\.(?:ya?ml|tpl|txt)(?::\d+)*): executing .*?: (error calling .+|can't .+)")
                .captures(text)
        })
        .map(of)
}

/// `clusterroles.rbac.authorization.k8s.io "x" is forbidden: user "system:serviceaccount:ci:deployer" (groups=[…]) is attempting
/// to grant RBAC permissions not currently held: {APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]} …`.
fn escalates(text: &str) -> Option<Refusal> {
    let found = pattern!(r#"(?s)\b(clusterroles|roles|clusterrolebindings|rolebindings)\.rbac\.authorization\.k8s\.io "([^"]+)" is forbidden: user "([^"]+)" .*?attempting to grant RBAC permissions not currently held:(.*)"#).captures(text)?;
    let kind = match &found[1] {
        "clusterroles" => "ClusterRole",
        "roles" => "Role",
        "clusterrolebindings" => "ClusterRoleBinding",
        _ => "RoleBinding",
    };
    let rules = pattern!(r"\{((?:APIGroups|NonResourceURLs):[^{}]*)\}");
    let lacks = rules.captures_iter(&found[4]).map(|rule| rule[1].to_owned()).collect();
    Some(Refusal::Escalates { who: found[3].to_owned(), kind: kind.to_owned(), name: found[2].to_owned(), lacks })
}

/// `prometheusrules.monitoring.coreos.com "x" is forbidden: exceeded quota: counts, requested: count/prometheusrules.monitoring.coreos.com=1,
/// used: count/prometheusrules.monitoring.coreos.com=10, limited: count/prometheusrules.monitoring.coreos.com=10`.
fn quota(text: &str) -> Option<Refusal> {
    let found = pattern!(
        r#"([\w.-]+) "([^"]+)" is forbidden: exceeded quota: ([\w.-]+), requested: ([^=\s]+)=\S+?, used: [^=\s]+=(\S+?)(?:,\S+)?, limited: [^=\s]+=([^,\s"]+)"#
    )
    .captures(text)?;
    let part = |at: usize| found[at].to_owned();
    Some(Refusal::Quota {
        resource: part(1),
        name: part(2),
        quota: part(3),
        key: part(4),
        used: part(5),
        limited: part(6),
    })
}

/// `User "system:serviceaccount:ci:deployer" cannot list resource "secrets" in API group "" in the namespace "monitoring"`.
fn rights(text: &str) -> Option<Refusal> {
    let (who, act) = forbidden::denied(text)?;
    let (verb, resource) = (act.verb.clone(), act.full_name());
    Some(Refusal::Rights { who, verb, resource, namespace: act.namespace.unwrap_or_default() })
}

/// `Prometheus in version "v1" cannot be handled as a Prometheus: json: cannot unmarshal string into Go struct field
/// PrometheusSpec.spec.replicas of type int32`.
fn wrong_type(text: &str) -> Option<Refusal> {
    let found = pattern!(r#"(\w+) in version "[^"]+" cannot be handled as a \w+: .*cannot unmarshal (\w+) into Go struct field \w+\.([\w.\[\]]+) of type (\S+)"#).captures(text)?;
    Some(Refusal::Invalid {
        kind: found[1].to_owned(),
        name: String::new(),
        field: found[3].to_owned(),
        says: format!("it is a {}, and has to be of type {}", &found[2], &found[4]),
    })
}

/// `Prometheus.monitoring.coreos.com "x" is invalid: spec.retention: Invalid value: "30days": spec.retention in body should match
/// …`: what is left of what the API server refuses.
fn invalid(text: &str) -> Option<Refusal> {
    // A port of nodes that another Service has is told by name of that Service.
    if text.contains("provided port is already allocated") || text.contains("provided port is not in the valid range") {
        return None;
    }
    let found = pattern!(r#"\b([A-Z]\w*)(?:\.[a-z0-9.-]+)? "([^"]+)" is invalid: \[?([a-zA-Z][\w.\[\]/"-]*): (.+)"#)
        .captures(text)?;
    Some(Refusal::Invalid {
        kind: found[1].to_owned(),
        name: found[2].to_owned(),
        field: found[3].to_owned(),
        says: found[4].trim().trim_end_matches(']').to_owned(),
    })
}

/// `ServiceAccount "x" in namespace "n" exists and cannot be imported into the current release: invalid ownership metadata …`.
fn owned(text: &str) -> Option<Refusal> {
    let found =
        pattern!(r#"(\w+) "([^"]+)" in namespace "([^"]*)" exists and cannot be imported into the current release"#)
            .captures(text)?;
    Some(Refusal::Owned {
        kind: found[1].to_owned(),
        name: found[2].to_owned(),
        namespace: found[3].to_owned(),
        by: pattern!(r#""meta\.helm\.sh/release-name" must equal "[^"]*": current value is "([^"]+)""#)
            .captures(text)
            .map(|c| c[1].to_owned()),
        wanted: pattern!(r#""meta\.helm\.sh/release-name" must (?:equal|be set to) "([^"]+)""#)
            .captures(text)
            .map(|c| c[1].to_owned()),
    })
}

/// `cannot patch "x" with kind DaemonSet: … is invalid: spec.selector: Invalid value: …: field is immutable`; `… updates to
/// statefulset spec for fields other than … are forbidden`; `failed to replace object: PersistentVolumeClaim "x" is invalid:
/// spec: Forbidden: is immutable after creation …`; `roleRef: … cannot change roleRef`.
fn immutable(text: &str, is_upgrade: bool) -> Option<Refusal> {
    let has = |part: &str| text.contains(part);
    let fixed = has("field is immutable")
        || has("immutable after creation")
        || has("cannot change roleRef")
        || has("clusterIP can not be unset")
        || (has("updates to ") && has("are forbidden"));
    let forced = has("failed to replace object");
    if !fixed || !(is_upgrade || forced || has("cannot patch \"")) {
        return None;
    }
    let (kind, name) = match pattern!(r#"\b([A-Z]\w*)(?:\.[a-z0-9.-]+)? "([^"]+)" is invalid: "#).captures(text) {
        Some(found) => (found[1].to_owned(), found[2].to_owned()),
        None => {
            let found = pattern!(r#"cannot patch "([^"]+)" with kind (\w+)"#).captures(text)?;
            (found[2].to_owned(), found[1].to_owned())
        }
    };
    let field = pattern!(r"is invalid: ([a-zA-Z][\w.\[\]]*): ")
        .captures(text)
        .map_or_else(|| "spec".to_owned(), |c| c[1].to_owned());
    Some(Refusal::Immutable { kind, name, field, forced })
}

/// `no matches for kind "PodSecurityPolicy" in version "policy/v1beta1"`.
fn no_kind(text: &str) -> Option<Refusal> {
    let found = pattern!(r#"no matches for kind "(\w+)" in (?:version|group) "([^"]+)""#).captures(text)?;
    Some(Refusal::NoKind { kind: found[1].to_owned(), version: found[2].to_owned() })
}

/// `ValidationError(Prometheus.spec): unknown field "shards" in …`; `Prometheus in version "v1" cannot be handled …: strict
/// decoding error: unknown field "spec.x"`; `(ns/name; monitoring.coreos.com/v1, Kind=Prometheus): .spec.x: field not declared
/// in schema`.
fn unknown_field(text: &str) -> Option<Refusal> {
    let of = |c: regex::Captures<'_>| Refusal::UnknownField {
        kind: c[1].to_owned(),
        field: c[2].trim_start_matches('.').to_owned(),
    };
    let old = pattern!(r#"ValidationError\((\w+)[^)]*\): unknown field "([^"]+)""#).captures(text).map(of);
    old.or_else(|| {
        pattern!(
            r#"(\w+) in version "[^"]+" cannot be handled as a \w+: strict decoding error: unknown field "([^"]+)""#
        )
        .captures(text)
        .map(of)
    })
    .or_else(|| pattern!(r"Kind=(\w+)\): (\.[^\s:]+): field not declared in schema").captures(text).map(of))
}

/// `CustomResourceDefinition "x" is invalid: metadata.annotations: Too long: must have at most 262144 bytes`.
fn too_long(text: &str) -> Option<Refusal> {
    pattern!(r#"CustomResourceDefinition(?:\.\S+)? "([^"]+)" is invalid: metadata\.annotations: Too long"#)
        .captures(text)
        .map(|c| Refusal::TooLong { name: c[1].to_owned() })
}

/// `Secret "sh.helm.release.v1.x.v3" is invalid: data: Too long: must have at most 1048576 bytes`; something on the way lets
/// less through: `the server responded with the status code 413 … (post secrets)`.
fn record_too_large(text: &str) -> Option<Refusal> {
    let release = pattern!(r#"Secret "sh\.helm\.release\.v1\.([^"]+)\.v\d+" is invalid: data: Too long"#)
        .captures(text)
        .map(|c| c[1].to_owned());
    let cut = text.contains("status code 413") && text.contains("(post secrets)");
    (release.is_some() || cut).then_some(Refusal::RecordTooLarge { release })
}

/// `conflict occurred while applying object ns/name apps/v1, Kind=Deployment: Apply failed with 1 conflict: conflict with "x"
/// using apps/v1: .spec.replicas`.
fn conflict(text: &str) -> Option<Refusal> {
    let found = pattern!(r#"conflict occurred while applying object ([^\s/]*)/(\S+) \S+, Kind=(\w+): Apply failed with \d+ conflicts?: conflicts? with "([^"]+)""#).captures(text)?;
    let field = pattern!(r" using [^\s:]+:(?:\s|\\n|- )*(\.\S+)").captures(text).map(|c| c[1].to_owned());
    Some(Refusal::Conflict {
        namespace: found[1].to_owned(),
        name: found[2].to_owned(),
        kind: found[3].to_owned(),
        manager: found[4].to_owned(),
        field: field.unwrap_or_default(),
    })
}

/// `cannot patch "x" with kind Deployment: The order in patch list: [map[name:A value:1] …] doesn't match $setElementOrder list:
/// [map[name:A] map[name:B] map[name:A]]`.
fn doubled(text: &str) -> Option<Refusal> {
    let found = pattern!(r#"cannot patch "([^"]+)" with kind (\w+): The order in patch list"#).captures(text)?;
    let list = text.rsplit_once("$setElementOrder list").map_or("", |(_, list)| list);
    let entry = pattern!(r"map\[(\w+:[^\]\s]+)\]");
    let (mut seen, mut entries) = (BTreeSet::new(), Vec::new());
    for one in entry.captures_iter(list).filter_map(|c| c.get(1)).map(|m| m.as_str().replacen(':', " ", 1)) {
        if !seen.insert(one.clone()) && !entries.contains(&one) {
            entries.push(one);
        }
    }
    Some(Refusal::Doubled { kind: found[2].to_owned(), name: found[1].to_owned(), entries })
}

/// `at <.Values.thanosRuler.enabled>: nil pointer evaluating interface {}.enabled`.
fn no_value(text: &str) -> Option<Refusal> {
    let found = pattern!(r"<\$?\.Values\.([\w.]+)>: nil pointer evaluating interface \{\}\.\w+").captures(text)?;
    Some(Refusal::NoValue { value: found[1].to_owned() })
}

/// `json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string`.
fn not_text(text: &str) -> Option<Refusal> {
    pattern!(r"cannot unmarshal (?:number|bool) into Go struct field [A-Z]\w*\.([\w.]+) of type string")
        .captures(text)
        .map(|c| Refusal::NotText { field: c[1].to_owned() })
}

/// `Service "x" is invalid: metadata.name: Invalid value: "x": must be no more than 63 characters`; `release name "x" exceeds
/// max length of 53`.
fn long_name(text: &str) -> Option<Refusal> {
    if let Some(found) = pattern!(r#"\b([A-Z]\w*)(?:\.[a-z0-9.-]+)? "([^"]+)" is invalid: (?:.*, )?metadata\.name: Invalid value: .*must be no more than \d+ (?:characters|bytes)"#).captures(text) {
        return Some(Refusal::LongName { kind: found[1].to_owned(), name: found[2].to_owned() });
    }
    let found = pattern!(r#"release name "?([a-z0-9.-]+)"? exceeds max length of \d+"#).captures(text)?;
    Some(Refusal::LongName { kind: String::new(), name: found[1].to_owned() })
}

/// `pre-upgrade hooks failed: …`, `failed pre-install: …`, `Hook pre-delete … failed: …`, with the job where it is named.
fn hook(text: &str) -> Option<Refusal> {
    let says = |k: &str| [format!("{k} hooks failed"), format!("failed {k}"), format!("Hook {k} ")];
    let kind = HOOKS.iter().find(|k| says(k).iter().any(|words| text.contains(words)))?;
    let name =
        pattern!(r#"\bjob(?:s\.batch)? "?([a-z0-9][a-z0-9.-]+)"? (?:failed|not ready|already exists)"#).captures(text);
    Some(Refusal::Hook { kind, name: name.map(|c| c[1].to_owned()) })
}

//! What an admission webhook or policy was asked about and refused: unlike a call that failed, it works and says no.

use crate::domain::kubernetes::not_created;
use crate::domain::kubernetes::recovered;
use crate::domain::kubernetes::webhooks;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Event;
use crate::text::pattern::pattern;

/// Seconds for which an event tells of now.
const RECENT: i64 = 3600;

/// Whose rule it is that refuses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Policy {
    /// A constraint of Gatekeeper.
    Gatekeeper { constraint: String },
    /// A rule of a policy of Kyverno.
    Kyverno { policy: String, rule: String },
    /// A ValidatingAdmissionPolicy of the cluster.
    Validating { policy: String, binding: String },
    /// The Prometheus operator's look at rules and Alertmanager configurations.
    Operator,
    /// The webhook's own.
    Own,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    /// `webhooks[].name`; empty for a policy of the API server itself.
    pub(crate) webhook: String,
    /// Whose rule it is.
    pub(crate) policy: Policy,
    /// What it says, in one line.
    pub(crate) says: String,
    /// Kind and name of what was refused, where the words before say it.
    pub(crate) object: Option<(String, String)>,
    /// What kept it from judging at all: it asks a registry or another program, and that failed.
    pub(crate) own_fault: Option<String>,
}

impl Denied {
    /// What refuses, as a resource: the policy, else the webhook's configuration.
    pub(crate) fn reference(&self, snap: &Snapshot) -> ResourceRef {
        match &self.policy {
            Policy::Gatekeeper { constraint } => {
                ResourceRef::kubernetes("constraints.gatekeeper.sh", "Constraint", "", constraint)
            }
            Policy::Kyverno { policy, .. } => ResourceRef::kubernetes("kyverno.io", "ClusterPolicy", "", policy),
            Policy::Validating { policy, .. } => {
                ResourceRef::kubernetes(webhooks::GROUP, "ValidatingAdmissionPolicy", "", policy)
            }
            Policy::Operator | Policy::Own => {
                let own = webhooks::all(snap).find(|h| h.webhook.name == self.webhook);
                own.map_or_else(|| webhooks::named(&self.webhook), |h| h.reference())
            }
        }
    }
}

/// The refusal that a text tells of.
pub(crate) fn read(text: &str) -> Option<Denied> {
    // Of many thousands of events hardly one is a refusal.
    if !(text.contains("denied") || text.contains("is invalid:")) {
        return None;
    }
    let text = text.replace("\\\"", "\"");
    let webhook = pattern!(r#"(?s)admission webhook "([^"]+)" denied the request(?: without explanation)?:?\s*(.*)$"#);
    if let Some(found) = webhook.captures(&text) {
        let (webhook, says) = (found[1].to_owned(), found[2].to_owned());
        let before = &text[..found.get(0)?.start()];
        let policy = policy_of(&webhook, &says);
        let own_fault = own_fault(&says);
        return Some(Denied { policy, says: told(&says), object: object_of(before), own_fault, webhook });
    }
    // kubectl prints what the operator's webhook answers as a fault of the object.
    let invalid = pattern!(r#"(?s)The\s+"(prometheusrules|alertmanagerconfigs)" is invalid:[\s:]*(.*)$"#);
    if let Some(found) = invalid.captures(&text) {
        let kind = if &found[1] == "prometheusrules" { "prometheusrule" } else { "alertmanagerconfigs" };
        let webhook = format!("{kind}validate.monitoring.coreos.com");
        return Some(Denied {
            webhook,
            policy: Policy::Operator,
            says: told(&found[2]),
            object: None,
            own_fault: None,
        });
    }
    let policy = pattern!(r"(?s)ValidatingAdmissionPolicy '([^']+)' with binding '([^']+)' denied request:?\s*(.*)$");
    let found = policy.captures(&text)?;
    let before = &text[..found.get(0)?.start()];
    Some(Denied {
        webhook: String::new(),
        policy: Policy::Validating { policy: found[1].to_owned(), binding: found[2].to_owned() },
        says: told(&found[3]),
        object: object_of(before),
        own_fault: None,
    })
}

/// The end of a refusal that is none: what the webhook asked for did not come.
fn own_fault(says: &str) -> Option<String> {
    let asks = ["failed to fetch image", "failed to load context", "failed to fetch data", "failed to perform request"];
    let fails = [
        "dial tcp",
        "i/o timeout",
        "no such host",
        "connection refused",
        "x509:",
        "deadline exceeded",
        "UNAUTHORIZED",
        "unauthorized",
    ];
    let has = |words: &[&str]| words.iter().any(|w| says.contains(w));
    if !has(&asks) || !has(&fails) {
        return None;
    }
    let said = says.rsplit_once("error: ").map_or(says, |(_, last)| last);
    Some(said.trim().trim_end_matches(']').chars().take(200).collect())
}

fn policy_of(webhook: &str, says: &str) -> Policy {
    if webhook.ends_with("monitoring.coreos.com") {
        return Policy::Operator;
    }
    let brackets = pattern!(r"^\[(?:denied by )?([a-z0-9][a-z0-9.-]*)\]");
    if let Some(found) = brackets.captures(says.trim_start()) {
        return Policy::Gatekeeper { constraint: found[1].to_owned() };
    }
    // `mutation policy X error: failed to apply policy X rules [Y: …`.
    if let Some(found) =
        pattern!(r"failed to apply policy ([a-z0-9][a-z0-9.-]*) rules \[([A-Za-z0-9][A-Za-z0-9._-]*):").captures(says)
    {
        let rule = found[2].trim_start_matches("autogen-").to_owned();
        return Policy::Kyverno { policy: found[1].to_owned(), rule };
    }
    let blocked = pattern!(r"(?s)following policies\s+([a-z0-9][a-z0-9.-]*):\s+([A-Za-z0-9][A-Za-z0-9._-]*):");
    if let Some(found) = blocked.captures(says) {
        return Policy::Kyverno {
            policy: found[1].to_owned(),
            rule: found[2].trim_start_matches("autogen-").to_owned(),
        };
    }
    Policy::Own
}

/// Its words in one line, without what only introduces them.
fn told(says: &str) -> String {
    let introduction = pattern!(
        r"(?s)^\s*(?:resource \S+ was blocked due to the following policies\s+[^\s:]+:\s+[^\s:]+:\s*|\[(?:denied by )?[a-z0-9.-]+\]\s*)"
    );
    let text = introduction.replace(says, "");
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line.trim_matches(['\'', '"']).chars().take(300).collect()
}

/// `cannot patch "shop-web" with kind PrometheusRule: `.
fn object_of(before: &str) -> Option<(String, String)> {
    let helm = pattern!(r#"cannot (?:patch|create|update) "([^"]+)" with kind ([A-Z]\w+):"#);
    let found = helm.captures_iter(before).last()?;
    Some((found[2].to_owned(), found[1].to_owned()))
}

/// Where a refusal was told.
#[derive(Debug, Clone)]
pub(crate) enum Told<'a> {
    /// An event.
    Event(&'a Event),
    /// The condition ReplicaFailure of a workload.
    Condition(ResourceRef),
    /// A record of kubectl's or Helm's output: file and line.
    Record(&'a str, usize),
}

/// The refusals that are told of now.
pub(crate) fn all(snap: &Snapshot) -> Vec<(Denied, Told<'_>)> {
    let mut found = Vec::new();
    let recent = |e: &&Event| e.is_within(RECENT, snap.collected_at);
    for event in snap.events.items().unwrap_or_default().iter().filter(recent) {
        let denied = read(&event.message).filter(|_| !recovered::is_done(snap, event));
        found.extend(denied.map(|d| (d, Told::Event(event))));
    }
    for workload in snap.workloads.items().unwrap_or_default() {
        let denied = not_created::condition(workload).and_then(read);
        found.extend(denied.map(|d| (d, Told::Condition(workload.reference()))));
    }
    for file in snap.manifests.items().unwrap_or_default() {
        let denied = file.errors.iter().filter_map(|e| Some((read(&e.message)?, e.line)));
        found.extend(denied.map(|(d, line)| (d, Told::Record(&file.path, line))));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_whose_rule_it_is() {
        let gatekeeper = read(
            "Error creating: admission webhook \"validation.gatekeeper.sh\" denied the request: [k8spsphostnamespace] Sharing the host namespace is not allowed: x-nxm4h",
        )
        .expect("a refusal");
        assert_eq!(gatekeeper.policy, Policy::Gatekeeper { constraint: "k8spsphostnamespace".into() });
        assert_eq!(gatekeeper.says, "Sharing the host namespace is not allowed: x-nxm4h");
        let kyverno = read(
            "Error creating: admission webhook \"validate.kyverno.svc-fail\" denied the request: \n\nresource Pod/monitoring/ was blocked due to the following policies \n\ndisallow-host-namespaces:\n  autogen-host-namespaces: 'validation error: Sharing the host namespaces is disallowed.'\n",
        )
        .expect("a refusal");
        let expected = Policy::Kyverno { policy: "disallow-host-namespaces".into(), rule: "host-namespaces".into() };
        assert_eq!(kyverno.policy, expected);
        assert_eq!(kyverno.says, "validation error: Sharing the host namespaces is disallowed.");
        let policy = read(
            "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'replicas' with binding 'replicas-all' denied request: too many",
        );
        let expected = Policy::Validating { policy: "replicas".into(), binding: "replicas-all".into() };
        assert_eq!(policy.map(|p| p.policy), Some(expected));
    }

    #[test]
    fn the_operators_webhook_names_no_rule_but_helm_does() {
        let denied = read(
            "Error: UPGRADE FAILED: cannot patch \"shop-web\" with kind PrometheusRule: admission webhook \"prometheusrulevalidate.monitoring.coreos.com\" denied the request: Rules are not valid",
        )
        .expect("a refusal");
        assert_eq!(denied.policy, Policy::Operator);
        assert_eq!(denied.object, Some(("PrometheusRule".into(), "shop-web".into())));
    }

    #[test]
    fn kubectl_prints_the_answer_as_a_fault_of_the_object() {
        let text = "The  \"prometheusrules\" is invalid: : 7:11: group \"g\", rule 1, \"a\": could not parse expression: 1:1: parse error: unknown function with name \"limitk\"";
        let denied = read(text).expect("a refusal");
        assert_eq!((&denied.policy, &denied.object), (&Policy::Operator, &None));
        assert!(denied.says.starts_with("7:11: group"), "{}", denied.says);
    }

    #[test]
    fn a_call_that_failed_is_no_refusal() {
        assert_eq!(read("Internal error occurred: failed calling webhook \"a.b\": service \"x\" not found"), None);
    }
}

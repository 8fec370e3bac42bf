//! A part of the stack may not read or write what it has to: its ServiceAccount lacks permissions.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::forbidden::{self, Act, Forbidden};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner;
use crate::domain::prometheus::operator::deployment;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    AccountForbidden {
        id: "account-forbidden", suite: Access, severity: Error,
        title: "a part of the stack may not do what it has to",
        requires: [PartLogs],
        uses: [Pods, Workloads, ServiceAccounts, MonitoringResources],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Allow {
        account: String,
        namespace: String,
        role: String,
        rules: Vec<Rule>,
        user: String,
        asked: Vec<String>,
        within: String,
        managed: String,
    },
}

/// One rule of the role.
#[derive(Serialize, JsonSchema)]
struct Rule {
    group: String,
    resource: String,
    verbs: Vec<String>,
}

/// Acts that a message names.
const NAMED: usize = 4;

impl Check for AccountForbidden {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.part_logs()?;
        Ok(Diagnosis::Findings(forbidden::all(snap).iter().map(|f| finding(snap, f)).collect()))
    }
}

fn finding(snap: &Snapshot, found: &Forbidden<'_>) -> Finding {
    let account = &found.account;
    let mut names: Vec<String> = found.acts.iter().map(|a| format!("{} {}", a.verb, a.full_name())).collect();
    names.dedup();
    let more = if names.len() > NAMED { format!(" and {} more", names.len() - NAMED) } else { String::new() };
    let message = format!(
        "ServiceAccount {}/{} may not {}{more}, which pod {} needs",
        account.namespace,
        account.name,
        names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "),
        found.log.pod
    );
    let reference = ResourceRef::kubernetes("", "ServiceAccount", &account.namespace, &account.name);
    let pod = snap.pod_of_log(found.log);
    let owner = pod.map(|p| snap.owner_ref(p));
    let managed = owner.as_ref().and_then(|o| owner::workload(snap, o)).map(|w| managed_by(&w.metadata));
    let user = format!("system:serviceaccount:{}:{}", account.namespace, account.name);
    let first = found.acts.iter().next();
    let within = first.and_then(|a| a.namespace.clone()).unwrap_or_default();
    let asked = first.map(Act::asked).unwrap_or_default();
    let seen = Evidence::new(
        format!("what {user} may do"),
        names.iter().map(|n| format!("may not {n}")).collect::<Vec<_>>().join("\n"),
        "kubectl auth can-i {{ asked|arguments }} {{ as_user|arguments }} {% if within %}-n {{ within }}{% else %}--all-namespaces{% endif %}",
    )
    .with("asked", &asked)
    .with("as_user", format!("--as={user}"))
    .with("within", &within);
    let is_operator = deployment::operators(snap).iter().any(|o| Some(o.workload.reference()) == owner);
    let severity = if is_operator { Severity::Error } else { Severity::Warning };
    let mut made = Finding::new(AccountForbidden::META.id, severity, reference.clone(), message)
        .evidence(line_evidence(found.log, found.line.trim()))
        .evidence(seen)
        .breaks(reference)
        .fix(Fix::Allow {
            account: account.name.clone(),
            namespace: account.namespace.clone(),
            role: format!("{}-{}-reads", account.namespace, account.name),
            rules: rules(&found.acts),
            user: format!("--as={user}"),
            asked,
            within,
            managed: managed.unwrap_or_default(),
        });
    if let Some(owner) = owner {
        // What becomes of the cluster's names without that right is said of CoreDNS itself.
        if found.log.image.contains("coredns") {
            made = made.depends_on(owner.clone());
        }
        made = made.also(owner.clone()).breaks(owner);
    }
    made
}

/// The rules of a role that allows these acts; who lists also gets and watches.
fn rules<'a>(acts: impl IntoIterator<Item = &'a Act>) -> Vec<Rule> {
    let mut all: Vec<Rule> = Vec::new();
    for act in acts {
        let verbs: Vec<String> = match act.verb.as_str() {
            "list" | "watch" => ["get", "list", "watch"].map(str::to_owned).to_vec(),
            verb => vec![verb.to_owned()],
        };
        match all.iter_mut().find(|r| r.group == act.group && r.resource == act.resource) {
            Some(rule) => {
                for verb in verbs {
                    if !rule.verbs.contains(&verb) {
                        rule.verbs.push(verb);
                    }
                }
            }
            None => all.push(Rule { group: act.group.clone(), resource: act.resource.clone(), verbs }),
        }
    }
    all
}

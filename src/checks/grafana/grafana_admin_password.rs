//! The side-cars of Grafana are refused: the password in the Secret is not the one in Grafana's database, Grafana takes no
//! logins by password, or who logs in may not do what they ask for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::kept::Kept;
use crate::checks::support::origin::path_of_key;
use crate::checks::{Check, check};
use crate::domain::grafana::provisioned::instances;
use crate::domain::kubernetes::env_key;
use crate::domain::kubernetes::owner::Target;
use crate::domain::text::log_line::is_older;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, Severity};
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    GrafanaAdminPassword {
        id: "grafana-admin-password", suite: Grafana, severity: Warning,
        title: "Grafana refuses its own side-cars",
        requires: [Pods],
        uses: [PartLogs, Workloads, ConfigMaps],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Reset {
        namespace: String,
        owner: String,
        container: String,
        sidecar: String,
        secret: String,
        /// The JSONPath of the password in it.
        secret_path: String,
    },
    BasicOff {
        namespace: String,
        owner: String,
        container: String,
        sidecar: String,
        /// A variable of its template says so; else a file.
        by_variable: bool,
        #[serde(flatten)]
        kept: Kept,
    },
    NoRight {
        namespace: String,
        owner: String,
        container: String,
        sidecar: String,
        /// Where the side-car has its user from.
        user: String,
    },
}

/// Why Grafana refuses a side-car.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It does not know the password.
    Password,
    /// It takes no logins by user and password, and nobody is who asks with one.
    BasicOff { by_variable: bool },
    /// It knows who asks, and does not let them.
    NoRight,
}

impl Why {
    fn of(snap: &Snapshot, grafana: &Container, pod: &Pod, line: &str) -> Self {
        // It only adds to what the answer says.
        let basic = journal::aside(|| {
            let all = instances(snap).ok()?;
            let own = all.iter().find(|i| i.pods(snap).iter().any(|p| std::ptr::eq(*p, pod)))?;
            own.setting(snap, "auth.basic", "enabled").ok().flatten()
        });
        let is_off =
            |value: &str| matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "off" | "no" | "f" | "n");
        match basic {
            Some(value) if is_off(value) => Self::BasicOff { by_variable: grafana.env(BASIC).is_some() },
            _ if line.contains("Response: 403") => Self::NoRight,
            _ => Self::Password,
        }
    }
}

/// The variable that switches logins by user and password off.
const BASIC: &str = "GF_AUTH_BASIC_ENABLED";

/// Seconds for which a refusal counts: side-cars ask when something changes, and once an hour at least.
const RECENT: i64 = 2 * 3600;

impl Check for GrafanaAdminPassword {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let pods = snap.pods()?;
        if !pods.iter().any(has_side_car) {
            return Ok(Diagnosis::NotApplicable("no Grafana with a side-car in the stack".into()));
        }
        let mut found: BTreeMap<(&str, &str), Finding> = BTreeMap::new();
        let unread = |gap: Gap| Gap { what: "logs of Grafana's side-cars".into(), ..gap };
        for log in snap.part_logs().map_err(unread)?.iter().filter(|l| l.image.contains("sidecar") && !l.previous) {
            let pod = pods.iter().find(|p| log.is_of(&p.metadata));
            let Some(pod) = pod.filter(|p| p.spec.containers.iter().any(|c| c.program() == Some(Program::Grafana)))
            else {
                continue;
            };
            if let Some(line) = refused(snap, log) {
                found.entry((&log.namespace, &log.pod)).or_insert_with(|| finding(snap, pod, log, &line));
            }
        }
        Ok(Diagnosis::Findings(found.into_values().collect()))
    }
}

/// A pod of Grafana with a side-car that loads ConfigMaps.
fn has_side_car(pod: &Pod) -> bool {
    let containers = &pod.spec.containers;
    containers.iter().any(|c| c.program() == Some(Program::Grafana))
        && containers.iter().any(|c| c.image.contains("sidecar"))
}

/// The last answer, where it is a refusal: a success after it means that it is over.
fn refused(snap: &Snapshot, log: &ContainerLog) -> Option<String> {
    let mut last = None;
    for line in log.text.lines() {
        let Some((_, answer)) = line.split_once("Response: ") else { continue };
        let old = is_older(line, snap.collected_at, RECENT);
        let denied = answer.starts_with("401") || answer.starts_with("403");
        last = (denied && !old).then(|| line.trim().to_owned());
    }
    last
}

/// What waits, by what the side-car asks Grafana to read again. Grafana looks at folders of dashboards by itself as well.
fn held_back(line: &str) -> &'static str {
    if line.contains("provisioning/dashboards") {
        "dashboards from ConfigMaps are loaded only when Grafana looks at their folder by itself"
    } else if line.contains("provisioning/datasources") {
        "datasources from ConfigMaps are not loaded before its next start"
    } else {
        "what the side-car brings from ConfigMaps is not loaded before its next start"
    }
}

fn finding(snap: &Snapshot, pod: &Pod, log: &ContainerLog, line: &str) -> Finding {
    let meta = &pod.metadata;
    let grafana = pod.spec.containers.iter().find(|c| c.program() == Some(Program::Grafana));
    let target = Target::of(snap, pod);
    let secret = grafana
        .and_then(|c| c.env.iter().find(|e| e.name == "GF_SECURITY_ADMIN_PASSWORD"))
        .and_then(env_key::of_secret);
    let why = grafana.map_or(Why::Password, |g| Why::of(snap, g, pod, line));
    let from = secret.map_or_else(String::new, |s| format!(" (key {} of Secret {})", s.key, s.name));
    let status = if line.contains("Response: 403") { 403 } else { 401 };
    let because = match why {
        Why::Password => format!("the admin password in its Secret{from} is not the one in Grafana's database"),
        Why::BasicOff { .. } => {
            "it takes no logins by user and password (auth.basic is off), and the side-car has nothing else".to_owned()
        }
        Why::NoRight => "it knows who asks, and does not let them load what is provisioned".to_owned(),
    };
    let message = format!(
        "Grafana {}/{} refuses its side-car {} ({status}): {because}, so that {}",
        meta.namespace,
        meta.name,
        log.container,
        held_back(line)
    );
    let show = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=2h";
    let mut made = Finding::new(GrafanaAdminPassword::META.id, Severity::Warning, snap.owner_ref(pod), message)
        .key(format!("{} admin password", snap.owner_ref(pod).key()))
        .evidence(
            Evidence::new(
                format!("log of pod {}/{}, container {}", meta.namespace, meta.name, log.container),
                line.to_owned(),
                show,
            )
            .with("namespace", &meta.namespace)
            .with("pod", &meta.name)
            .with("container", &log.container),
        );
    // Grafana itself works.
    made.breaks = Some(Vec::new());
    let (namespace, sidecar) = (meta.namespace.clone(), log.container.clone());
    let container = grafana.map_or_else(|| "grafana".to_owned(), |c| c.name.clone());
    let key = secret.map_or("admin-password", |s| s.key.as_str());
    made.fix(match why {
        Why::Password => Fix::Reset {
            namespace,
            owner: target.name,
            container,
            sidecar,
            secret: secret.map_or_else(|| "<admin-password-secret-name>".to_owned(), |s| s.name.clone()),
            secret_path: path_of_key(key),
        },
        Why::BasicOff { by_variable } => {
            Fix::BasicOff { kept: Kept::of(&target), namespace, owner: target.name, container, sidecar, by_variable }
        }
        Why::NoRight => {
            let user = user(pod, &log.container);
            Fix::NoRight { namespace, owner: target.name, container, sidecar, user }
        }
    })
}

/// Where a side-car has the name from with which it logs in.
fn user(pod: &Pod, sidecar: &str) -> String {
    let own = pod.spec.containers.iter().find(|c| c.name == sidecar);
    let variable = own.and_then(|c| c.env.iter().find(|e| e.name == "REQ_USERNAME"));
    let secret = variable.and_then(|v| v.value_from.as_ref()?.secret_key_ref.as_ref());
    match (variable.and_then(|v| v.value.as_deref()), secret) {
        (Some(name), _) => name.to_owned(),
        (None, Some(secret)) => format!("of key {} of Secret {}", secret.key, secret.name),
        (None, None) => "of its variable REQ_USERNAME".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;

    fn with(log: &str) -> Snapshot {
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"namespace": "monitoring", "name": "grafana-0", "ownerReferences": [{"kind": "StatefulSet", "name": "grafana", "controller": true}]},
            "spec": {"containers": [
                {"name": "grafana", "image": "grafana/grafana:12.3.1", "env": [{"name": "GF_SECURITY_ADMIN_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "grafana", "key": "admin-password"}}}]},
                {"name": "sc", "image": "quay.io/kiwigrid/k8s-sidecar:1.28.0"}]},
            "status": {"phase": "Running"}
        }]}));
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "grafana-0".into(),
            container: "sc".into(),
            image: "quay.io/kiwigrid/k8s-sidecar:1.28.0".into(),
            text: log.into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    const DENIED: &str = "{\"time\": \"2026-11-21T01:35:13.698Z\", \"level\": \"ERROR\", \"msg\": \"POST request sent to http://localhost:3000/api/admin/provisioning/datasources/reload. Response: 401 Unauthorized {\\\"message\\\":\\\"Invalid username or password\\\"}\"}\n";

    #[test]
    fn a_refusal_that_is_over_is_quiet() {
        let ok = DENIED.replace("401 Unauthorized", "200 OK");
        assert!(findings(&GrafanaAdminPassword, &with(&ok)).is_empty());
        assert!(findings(&GrafanaAdminPassword, &with(&format!("{DENIED}{ok}"))).is_empty());
        assert!(findings(&GrafanaAdminPassword, &with(&DENIED.replace("401 Unauthorized", "500 x"))).is_empty());
    }

    #[test]
    fn who_is_known_and_refused_needs_no_other_password() {
        let denied = DENIED.replace(
            "401 Unauthorized {\\\"message\\\":\\\"Invalid username or password\\\"}",
            "403 Forbidden {\\\"message\\\":\\\"Permission denied\\\"}",
        );
        let found = findings(&GrafanaAdminPassword, &with(&denied));
        assert!(found[0].message.contains("(403): it knows who asks"), "{}", found[0].message);
        let told = steps(&found[0]);
        assert!(!told.contains("reset-admin-password") && !told.contains("rollout restart"), "{told}");
    }

    #[test]
    fn the_password_of_the_secret_is_set_in_the_database() {
        let found = findings(&GrafanaAdminPassword, &with(DENIED));
        let told = steps(&found[0]);
        assert!(told.contains("grafana cli admin reset-admin-password") && told.contains("secret grafana "), "{told}");
    }
}

//! The API server does not take the token of a part of the stack any more.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::line_evidence;
use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::image::tag_of;
use crate::domain::kubernetes::owner::{Target, workload};
use crate::domain::kubernetes::refused_token::{self, Refused, Why};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    TokenRefused {
        id: "token-refused", suite: Access, severity: Error,
        title: "the API server does not take a program's token",
        requires: [PartLogs],
        uses: [Pods, ServiceAccounts, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Restart {
        namespace: String,
        owner: String,
        pod: String,
        rolls: bool,
        has_rollout: bool,
        account: String,
        /// It probably reads its token only once.
        old: bool,
        version: String,
    },
}

impl Check for TokenRefused {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.part_logs()?;
        Ok(Diagnosis::Findings(refused_token::all(snap).iter().map(|r| finding(snap, r)).collect()))
    }
}

fn finding(snap: &Snapshot, refused: &Refused<'_>) -> Finding {
    let (pod, log) = (refused.pod, refused.log);
    let meta = &pod.metadata;
    let owner = snap.owner_ref(pod);
    let account = pod.spec.account();
    let why = match refused.why {
        Why::Old { days, once } => format!(
            "it has been running for {days} days, and EKS accepts the token of its start for 90 days at most: its client {} it again",
            if once { "does not read" } else { "probably does not read" }
        ),
        Why::Remade => {
            format!("ServiceAccount {account} was recreated since the pod started, and its token is of the one before")
        }
        Why::Unknown => "its token has expired, or is of an account or a key that is no more".to_owned(),
    };
    let text =
        format!("the API server does not take the token of pod {}/{} (Unauthorized): {why}", meta.namespace, meta.name);
    let target = Target::of(snap, pod);
    let own = ResourceRef::pod(&meta.namespace, &meta.name);
    let image = pod.spec.containers.iter().find(|c| c.name == log.container).map(|c| c.image.as_str());
    Finding::new(TokenRefused::META.id, severity_of(snap, pod, Severity::Error), owner.clone(), text)
        .key(format!("{} token", owner.key()))
        .also(own.clone())
        .breaks(owner.clone())
        .breaks(own)
        .evidence(line_evidence(log, refused.line.trim()))
        .fix(Fix::Restart {
            namespace: meta.namespace.clone(),
            rolls: workload(snap, &owner).is_some(),
            has_rollout: target.has_rollout,
            owner: owner.kubectl_name(),
            pod: meta.name.clone(),
            account: account.to_owned(),
            old: matches!(refused.why, Why::Old { .. }),
            version: image.and_then(tag_of).unwrap_or_default().to_owned(),
        })
}

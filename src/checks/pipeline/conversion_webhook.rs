//! The webhook that converts objects of a CustomResourceDefinition between its versions cannot be called.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::{event_evidence, line_evidence};
use crate::checks::{Check, check};
use crate::domain::kubernetes::webhook_call::{self, CallCause, FailedConversion};
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Fact, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    ConversionWebhook {
        id: "conversion-webhook", suite: Pipeline, severity: Error,
        title: "the webhook that converts custom resources cannot be called",
        requires: [PartLogs],
        uses: [ComponentLogs, Events, Crds, Services, AlertmanagerConfigResources, Monitors, NodeMakers, SecretMakers],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    crd: String,
    /// What the definition calls.
    service: String,
    service_namespace: String,
    #[serde(flatten)]
    way: Way,
}

/// What is wrong with the Service.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Absent,
    Broken { is_tls: bool, is_timeout: bool },
}

/// One definition and where its conversion was seen to fail.
struct Case {
    failed: FailedConversion,
    seen: Vec<Evidence>,
}

impl Check for ConversionWebhook {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let parts = snap.part_logs()?.iter();
        let mut cases: BTreeMap<(String, String), Case> = BTreeMap::new();
        let mut add = |failed: FailedConversion, seen: Evidence| {
            let case = cases.entry((failed.group.clone(), failed.kind.clone()));
            case.or_insert_with(|| Case { failed, seen: Vec::new() }).seen.push(seen);
        };
        for gap in Fact::ALL.iter().flat_map(|f| snap.gaps_of(*f)) {
            if let Some(failed) = webhook_call::read_conversion(&gap.message) {
                add(failed, answer(gap));
            }
        }
        for log in parts.chain(snap.component_logs().into_iter().flatten()).filter(|l| !l.previous) {
            let last = log.text.lines().rev().find_map(|l| Some((webhook_call::read_conversion(l)?, l)));
            if let Some((failed, line)) = last {
                add(failed, line_evidence(log, line.trim()));
            }
        }
        let now = snap.collected_at.as_second();
        let events = snap.events.items().unwrap_or_default().iter();
        for event in events.filter(|e| e.last_seen().is_some_and(|t| now - t.as_second() <= RECENT)) {
            if let Some(failed) = webhook_call::read_conversion(&event.message) {
                add(failed, event_evidence(event));
            }
        }
        Ok(Diagnosis::Findings(cases.into_values().filter_map(|c| finding(snap, c)).collect()))
    }
}

/// What the API server answered to a list.
fn answer(gap: &Gap) -> Evidence {
    Evidence::new(gap.what.clone(), gap.message.clone(), "kubectl get --raw {{ path }}")
        .with("path", gap.what.trim_start_matches("GET ").to_owned())
}

fn finding(snap: &Snapshot, case: Case) -> Option<Finding> {
    let failed = &case.failed;
    let (namespace, service) = failed.service.clone()?;
    // What was said is over where the Service is there now.
    let here = snap.services.find(&namespace, &service);
    if failed.fault == CallCause::NoService && matches!(here, Ok(Some(_))) {
        return None;
    }
    let crds = snap.crds.items().unwrap_or_default();
    let end = format!(".{}", failed.group);
    let kind = failed.kind.to_ascii_lowercase();
    let own = |name: &&str| name.strip_suffix(end.as_str()).is_some_and(|plural| is_plural(plural, &kind));
    let name = crds.iter().map(|c| c.metadata.name.as_str()).find(own);
    let name = name.map_or_else(|| format!("{kind}s{end}"), str::to_owned);
    let why = match failed.fault {
        CallCause::NoService => format!("Service {namespace}/{service} does not exist"),
        CallCause::NoEndpoints => format!("Service {namespace}/{service} has no ready endpoint"),
        CallCause::NoPort => format!("Service {namespace}/{service} does not have the port that it names"),
        CallCause::Timeout => format!("Service {namespace}/{service} does not answer the API server"),
        fault if fault.is_tls() => format!("the certificate of Service {namespace}/{service} is not accepted"),
        _ => format!("Service {namespace}/{service} gives no right answer"),
    };
    let message = format!(
        "objects of {} ({}) cannot be read in another version than the stored one: {why}, and the CustomResourceDefinition has it convert them; whoever lists them gets an error",
        failed.kind, failed.group
    );
    let definition = ResourceRef::crd(&name);
    let way = match failed.fault {
        CallCause::NoService => Way::Absent,
        fault => Way::Broken { is_tls: fault.is_tls(), is_timeout: fault == CallCause::Timeout },
    };
    let made = Finding::new(ConversionWebhook::META.id, Severity::Error, definition.clone(), message)
        .breaks(definition)
        .depends_on(ResourceRef::service(&namespace, &service))
        .fix(Fix { crd: name, service, service_namespace: namespace, way });
    Some(case.seen.into_iter().take(3).fold(made, Finding::evidence))
}

fn is_plural(plural: &str, kind: &str) -> bool {
    plural.starts_with(kind.trim_end_matches(['y', 's'])) && plural.len() <= kind.len() + 3
}

//! CRDs that are older than the operator that works with them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::operator::deployment::{self, Operator, Version, version, version_text};
use crate::domain::prometheus::operator::log;
use crate::domain::prometheus::operator::selection::GROUP;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ObjectName, annotation};

check! {
    /// See the check's page.
    CrdSkew {
        id: "crd-skew", suite: Operator, severity: Error,
        title: "the CRDs are older than the operator",
        requires: [Crds, Workloads],
        uses: [PartLogs],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Update {
        operator: String,
        namespace: String,
        managed: String,
        /// The CRDs are not there, and so nothing of their kinds.
        lost: bool,
        /// The CRDs as the operator's version has them.
        files: Vec<String>,
    },
}

/// The first operator whose CRDs carry their version.
const ANNOTATED: Version = (0, 70, 0);
/// Kinds, and the operator that brought them.
const SINCE: &[(&str, Version)] = &[
    ("alertmanagerconfigs", (0, 43, 0)),
    ("alertmanagers", (0, 0, 0)),
    ("podmonitors", (0, 0, 0)),
    ("probes", (0, 42, 0)),
    ("prometheusagents", (0, 64, 0)),
    ("prometheuses", (0, 0, 0)),
    ("prometheusrules", (0, 0, 0)),
    ("scrapeconfigs", (0, 65, 0)),
    ("servicemonitors", (0, 0, 0)),
    ("thanosrulers", (0, 0, 0)),
];
/// What the operator says of CRDs that do not fit.
const SIGNS: &[&str] =
    &["not installed in the cluster", "no matches for kind", "could not find the requested resource", "unknown field"];

impl Check for CrdSkew {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let crds = snap.crds()?;
        let operators = deployment::operators(snap);
        // The newest is the one that the CRDs have to fit.
        let newest = operators.iter().filter_map(|o| Some((o.version()?, o))).max_by_key(|(v, _)| *v);
        let Some((wanted, operator)) = newest else {
            snap.workloads()?;
            return Ok(Diagnosis::NotApplicable("no Prometheus Operator of a known version".into()));
        };
        let skew = Skew::of(crds, wanted, snap.crds.is_whole());
        if skew.old.is_empty() && skew.missing.is_empty() {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        Ok(Diagnosis::Findings(vec![finding(snap, operator, wanted, &skew)]))
    }
}

/// CRDs that do not fit: plural name and version.
struct Skew {
    old: Vec<(&'static str, Option<Version>)>,
    missing: Vec<&'static str>,
}

impl Skew {
    fn of(crds: &[ObjectName], wanted: Version, whole: bool) -> Self {
        let mut skew = Self { old: Vec::new(), missing: Vec::new() };
        for (plural, since) in SINCE.iter().filter(|(_, since)| wanted >= *since) {
            let Some(crd) = crds.iter().find(|c| c.metadata.name == format!("{plural}.{GROUP}")) else {
                if whole && wanted >= *since {
                    skew.missing.push(plural);
                }
                continue;
            };
            let found = crd.metadata.annotations.get(annotation::OPERATOR_VERSION).and_then(|v| version(v));
            let old = match found {
                // Patches do not change the schema in a way that matters.
                Some(found) => (found.0, found.1) < (wanted.0, wanted.1),
                None => wanted >= ANNOTATED,
            };
            if old {
                skew.old.push((plural, found));
            }
        }
        skew
    }

    fn names(&self) -> Vec<&'static str> {
        self.old.iter().map(|(plural, _)| *plural).chain(self.missing.iter().copied()).collect()
    }
}

/// `9 CRDs are at 0.70.0`.
fn behind(count: usize, oldest: &str) -> String {
    format!("{count} {} at {oldest}", if count == 1 { "CRD is" } else { "CRDs are" })
}

fn absent(count: usize) -> &'static str {
    if count == 1 { "does not exist" } else { "do not exist" }
}

fn finding(snap: &Snapshot, operator: &Operator<'_>, wanted: Version, skew: &Skew) -> Finding {
    let meta = &operator.workload.metadata;
    let names = skew.names();
    let refs = |plural: &str| ResourceRef::crd(&format!("{plural}.{GROUP}"));
    let sign = sign(snap);
    let oldest = skew.old.iter().map(|(_, v)| v.map_or_else(|| "a version before 0.70".to_owned(), version_text)).min();
    let what = match (&oldest, skew.missing.is_empty()) {
        (Some(oldest), true) => behind(skew.old.len(), oldest),
        (Some(oldest), false) => {
            format!("{}, {} {}", behind(skew.old.len(), oldest), skew.missing.join(", "), absent(skew.missing.len()))
        }
        (None, _) => {
            let crds = if skew.missing.len() == 1 { "CRD" } else { "CRDs" };
            format!("the {crds} {} {}", skew.missing.join(", "), absent(skew.missing.len()))
        }
    };
    let effect = match skew.old.is_empty() {
        true => "it does without these kinds, or ends, and no resource of them can be there",
        false => {
            "fields that the CRDs do not know are dropped (kubectl refuses or warns, other clients say nothing), and defaults that the operator counts on are not set"
        }
    };
    let message =
        format!("{what}, and operator {}/{} is {}: {effect}", meta.namespace, meta.name, version_text(wanted));
    let severity = if sign.is_some() { Severity::Error } else { Severity::Warning };
    let value: Vec<String> = skew
        .old
        .iter()
        .map(|(plural, v)| format!("{plural}: {}", v.map_or_else(|| "no version".to_owned(), version_text)))
        .chain(skew.missing.iter().map(|plural| format!("{plural}: does not exist")))
        .collect();
    let file = |name: &&str| {
        format!(
            "https://raw.githubusercontent.com/prometheus-operator/prometheus-operator/v{}/example/prometheus-operator-crd/{GROUP}_{name}.yaml",
            version_text(wanted)
        )
    };
    let fix = Fix::Update {
        operator: meta.name.clone(),
        namespace: meta.namespace.clone(),
        managed: managed_by(meta),
        lost: skew.old.is_empty(),
        files: names.iter().map(file).collect(),
    };
    let mut made = Finding::new(CrdSkew::META.id, severity, refs(names[0]), message)
        .also_all(names.iter().skip(1).map(|n| refs(n)))
        .key("version")
        .fix(fix)
        .evidence(Evidence::new(
            "CRDs, annotation operator.prometheus.io/version",
            value.join("\n"),
            "kubectl get crd -o custom-columns='NAME:.metadata.name,VERSION:.metadata.annotations.operator\\.prometheus\\.io/version'",
        ))
        .evidence(
            Evidence::new(
                format!("Deployment {}/{} image", meta.namespace, meta.name),
                &operator.container.image,
                "kubectl get deployment {{ name }} -n {{ namespace }} -o jsonpath='{.spec.template.spec.containers[*].image}'",
            )
            .with("name", &meta.name)
            .with("namespace", &meta.namespace),
        );
    made.evidence.extend(sign);
    made
}

/// A line of the operator that complains of CRDs.
fn sign(snap: &Snapshot) -> Option<Evidence> {
    let logs = log::logs(snap).ok()?;
    logs.into_iter().find_map(|log| {
        let line = log
            .text
            .lines()
            .rev()
            .find(|l| SIGNS.iter().any(|s| l.contains(s)) && (l.contains(GROUP) || l.contains("v1alpha1")))?;
        let seen = Evidence::new(
            format!("log of pod {}/{}", log.namespace, log.pod),
            line,
            "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --tail=200",
        );
        Some(seen.with("namespace", &log.namespace).with("pod", &log.pod).with("container", &log.container))
    })
}

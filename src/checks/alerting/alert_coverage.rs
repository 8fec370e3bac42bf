//! Faults of every cluster that no alert watches, and alerts that fire at once or say nothing of how bad it is.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::scrape::{Api, api_evidence};
use crate::checks::support::written::PIPED;
use crate::checks::{Check, check};
use crate::domain::kubernetes::parts;
use crate::domain::manifests::alerts::{self, Brought};
use crate::domain::prometheus::coverage::{self, Core};
use crate::domain::prometheus::operator::chain;
use crate::domain::prometheus::operator::selection::Kind;
use crate::domain::prometheus::origin;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Location, ResourceRef, Severity};
use crate::snapshot::monitoring::{Rule, RuleGroup};
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    AlertCoverage {
        id: "alert-coverage", suite: Alerting, severity: Info,
        title: "faults of every cluster that no alert watches",
        requires: [PrometheusRules],
        uses: [MonitoringResources, PrometheusConfig, PrometheusRuleNames, PrometheusMetricNames, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Add {
        missing: Vec<Missing>,
        namespace: String,
        labels: Vec<Label>,
        operated: bool,
        /// Programs that measure what the alerts read, and of which none runs.
        unmeasured: Vec<&'static str>,
        #[serde(flatten)]
        api: Api,
    },
    AddFile {
        missing: Vec<Missing>,
        namespace: String,
        labels: Vec<Label>,
        operated: bool,
        /// The folder of all files; empty where they were piped in.
        folder: String,
    },
    Complete {
        hasty: Vec<String>,
        bare: Vec<String>,
        #[serde(flatten)]
        api: Api,
    },
}

/// An alert that is proposed.
#[derive(Serialize, JsonSchema)]
struct Missing {
    alert: String,
    expr: String,
    wait: String,
}

/// A label that the server's selector wants.
#[derive(Serialize, JsonSchema)]
struct Label {
    key: String,
    value: String,
}

/// Where Prometheus tells what it has loaded.
const RULES: &str = "/api/v1/rules?type=alert";

/// Alerts that are named.
const NAMED: usize = 5;

impl Check for AlertCoverage {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(of_files(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let groups = snap.prometheus_rules()?;
        if coverage::alerts(groups).next().is_none() {
            return Ok(Diagnosis::NotApplicable("Prometheus has no alerting rule at all".into()));
        }
        let mut missing = coverage::missing(groups);
        // What nobody measures no alert can watch.
        if let Ok(names) = snap.prometheus_metric_names() {
            missing.retain(|core| names.iter().any(|name| core.is_measured_by(name)));
        }
        let mut findings = Vec::new();
        if !missing.is_empty() {
            findings.push(uncovered(snap, &missing));
        }
        let own: Vec<RuleGroup> = groups.iter().filter(|g| !origin::is_of_the_stack(snap, &g.file)).cloned().collect();
        let names = |keep: fn(&Rule) -> bool| -> Vec<String> {
            let mut all: Vec<String> = coverage::alerts(&own).filter(|r| keep(r)).map(|r| r.name.clone()).collect();
            all.sort();
            all.dedup();
            all
        };
        let (hasty, bare) = (names(coverage::is_hasty), names(coverage::lacks_severity));
        if !hasty.is_empty() || !bare.is_empty() {
            findings.push(incomplete(snap, hasty, bare));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// Files that bring a Prometheus and its rules bring all the alerts that there will be.
fn of_files(snap: &Snapshot) -> Result<Diagnosis, Gap> {
    snap.manifests()?;
    let Some(server) = alerts::server(snap) else {
        return Ok(Diagnosis::NotApplicable("the files bring no Prometheus: other alerts may be there already".into()));
    };
    if alerts::are_of_a_chart(snap) {
        return Ok(Diagnosis::NotApplicable("a chart of the files brings alerts of its own".into()));
    }
    // What is not read, a template first of all, may hold the others.
    if let Some(gap) = snap.manifests.gaps().first() {
        return Err(gap.clone());
    }
    let groups = alerts::groups(snap);
    if coverage::alerts(&groups).next().is_none() {
        return Ok(Diagnosis::NotApplicable("no alerting rule in the files".into()));
    }
    let missing = coverage::missing(&groups);
    let found = (!missing.is_empty()).then(|| uncovered_by_files(snap, server, &missing));
    Ok(Diagnosis::Findings(found.into_iter().collect()))
}

fn proposed(missing: &[Core]) -> Vec<Missing> {
    let of = |core: &Core| {
        let (alert, expr, wait) = core.alert();
        Missing { alert: alert.to_owned(), expr: expr.to_owned(), wait: wait.to_owned() }
    };
    missing.iter().map(of).collect()
}

fn uncovered_by_files(snap: &Snapshot, server: Brought<'_>, missing: &[Core]) -> Finding {
    let names: Vec<&str> = missing.iter().map(|c| c.name()).collect();
    let message = format!(
        "no alert of the files watches {}, judging by their expressions, and they bring a Prometheus of their own",
        names.join(", ")
    );
    let labels = server.rule_labels().into_iter().map(|(key, value)| Label { key, value }).collect();
    let namespace = server.object.map(|o| o.namespace.clone()).filter(|n| !n.is_empty());
    let paths: Vec<&str> = snap.manifests.items().unwrap_or_default().iter().map(|f| f.path.as_str()).collect();
    let fix = Fix::AddFile {
        missing: proposed(missing),
        namespace: namespace.unwrap_or_else(|| "monitoring".to_owned()),
        labels,
        operated: server.is_operated(),
        folder: above_all(&paths),
    };
    let line = server.object.map_or(1, |object| object.place().line);
    Finding::new(AlertCoverage::META.id, Severity::Info, rules(), message)
        .key("files")
        .breaks_nothing()
        .location(Location::file(&server.file.path).at(line, None))
        .evidence(Evidence::new(
            "alerting rules of the files".to_owned(),
            format!("no expression reads what tells of {}", names.join(", ")),
            "",
        ))
        .fix(fix)
}

/// The folder that holds all of some files, or the only one; empty where they came on standard input.
fn above_all(paths: &[&str]) -> String {
    match paths {
        [] => String::new(),
        all if all.contains(&PIPED) => String::new(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] => {
            let folders = |path: &str| -> Vec<String> {
                path.rsplit_once('/').map_or(Vec::new(), |(f, _)| f.split('/').map(str::to_owned).collect())
            };
            let mut common = folders(first);
            for path in rest {
                let own = folders(path);
                let same = common.iter().zip(&own).take_while(|(a, b)| a == b).count();
                common.truncate(same);
            }
            let folder = common.join("/");
            match (folder.is_empty(), first.starts_with('/')) {
                (false, _) => folder,
                (true, true) => "/".to_owned(),
                (true, false) => ".".to_owned(),
            }
        }
    }
}

fn rules() -> ResourceRef {
    ResourceRef::Rule { group: String::new(), rule: "all alerting rules".to_owned() }
}

fn uncovered(snap: &Snapshot, missing: &[Core]) -> Finding {
    let names: Vec<&str> = missing.iter().map(|c| c.name()).collect();
    let server = chain::answering(snap);
    let selector = server.and_then(|s| Kind::PrometheusRule.selectors(&s.spec).0).and_then(|s| s.match_labels.as_ref());
    let fix = Fix::Add {
        missing: proposed(missing),
        namespace: server.map_or_else(|| "monitoring".to_owned(), |s| s.metadata.namespace.clone()),
        labels: selector.into_iter().flatten().map(|(k, v)| Label { key: k.clone(), value: v.clone() }).collect(),
        operated: server.is_some(),
        unmeasured: unmeasured(snap, missing),
        api: Api::of(snap, RULES),
    };
    let message = format!("no alert watches {}, judging by their expressions", names.join(", "));
    let seen = api_evidence(
        snap,
        "Prometheus /api/v1/rules?type=alert".to_owned(),
        format!("no expression reads what tells of {}", names.join(", ")),
        RULES,
    );
    Finding::new(AlertCoverage::META.id, Severity::Info, rules(), message).key("coverage").fix(fix).evidence(seen)
}

/// Who would have to measure it and does not run, by the workloads that were read.
fn unmeasured(snap: &Snapshot, missing: &[Core]) -> Vec<&'static str> {
    // A word beside the alerts: what cannot be seen changes nothing of them.
    let there = journal::aside(|| parts::all(snap));
    if there.is_empty() || journal::aside(|| snap.prometheus_metric_names().is_ok()) {
        return Vec::new();
    }
    let mut needed: Vec<_> = missing.iter().map(|core| core.measured_by()).collect();
    needed.sort();
    needed.dedup();
    needed.retain(|part| !there.iter().any(|(p, _)| p == part));
    needed.into_iter().map(parts::Part::name).collect()
}

fn incomplete(snap: &Snapshot, hasty: Vec<String>, bare: Vec<String>) -> Finding {
    let list = |names: &[String]| {
        let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        if names.len() > NAMED { format!("{shown} and {} more", names.len() - NAMED) } else { shown }
    };
    let mut parts = Vec::new();
    if !hasty.is_empty() {
        parts.push(format!("fire at the first sample, without for: {}", list(&hasty)));
    }
    if !bare.is_empty() {
        parts.push(format!("have no label severity: {}", list(&bare)));
    }
    let message = format!("alerts {}", parts.join("; alerts "));
    let seen = api_evidence(snap, "Prometheus /api/v1/rules?type=alert".to_owned(), parts.join("\n"), RULES);
    Finding::new(AlertCoverage::META.id, Severity::Info, rules(), message)
        .key("complete")
        .fix(Fix::Complete { hasty, bare, api: Api::of(snap, RULES) })
        .evidence(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;
    use crate::snapshot::Listing;
    use crate::snapshot::manifests::ManifestFile;

    const SERVER: &str = "apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: k8s, namespace: obs}\nspec: {ruleSelector: {matchLabels: {role: alerts}}}\n";
    const RULES: &str = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: r}\nspec: {groups: [{name: g, rules: [{alert: A, expr: 'node_load1 > 9'}]}]}\n";

    fn judged(files: &[(&str, &str)]) -> Diagnosis {
        let read = |(path, text): &(&str, &str)| {
            let mut file = ManifestFile::new(*path, *text);
            for document in yaml::documents(text).expect("is YAML") {
                file.add(document, true);
            }
            file
        };
        let mut snap = Snapshot::empty("2026-11-21T00:00:00Z".parse().expect("a time"));
        snap.manifests = Listing::cluster(files.iter().map(read).collect());
        AlertCoverage.judge(&snap).expect("it judges files").expect("they are there")
    }

    #[test]
    fn files_that_bring_a_server_bring_its_alerts() {
        let Diagnosis::Findings(found) = judged(&[("k8s/p.yaml", SERVER), ("k8s/r/r.yaml", RULES)]) else {
            panic!("it judges them")
        };
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert!(found.message.contains("watches high memory, a node that is not ready"), "{}", found.message);
        assert_eq!((found.severity, found.variant), (Severity::Info, "add-file"));
        assert_eq!(found.params.values()["folder"], "k8s");
        assert_eq!(found.params.values()["namespace"], "obs");
        let sources = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: r}\nspec: {sources: [{repoURL: x, chart: kube-prometheus-stack}, {repoURL: y, ref: values}]}\n";
        let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: r}\nspec: {chart: {spec: {chart: kube-prometheus-stack}}}\n";
        for (files, why) in [
            (vec![("r.yaml", RULES)], "no Prometheus"),
            (vec![("p.yaml", SERVER)], "no alerting rule"),
            (vec![("p.yaml", SERVER), ("r.yaml", RULES), ("h.yaml", release)], "a chart"),
            (vec![("p.yaml", SERVER), ("r.yaml", RULES), ("a.yaml", sources)], "a chart"),
        ] {
            let told = judged(&files);
            assert!(matches!(&told, Diagnosis::NotApplicable(said) if said.contains(why)), "{told:?}");
        }
    }

    #[test]
    fn the_folder_of_all_files_is_named() {
        assert_eq!(above_all(&["a/b/c.yaml", "a/b/d/e.yaml"]), "a/b");
        assert_eq!(above_all(&["a/b.yaml", "c.yaml"]), ".");
        assert_eq!(above_all(&["/a/b.yaml", "/c/d.yaml"]), "/");
        assert_eq!(above_all(&["a/b.yaml"]), "a/b.yaml");
        assert_eq!(above_all(&["-"]), "");
    }
}

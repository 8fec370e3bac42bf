//! What the API server says of a node port that it does not give, in records of kubectl and Helm and in events.

use crate::domain::kubernetes::gitops;
use crate::domain::kubernetes::recovered;
use crate::snapshot::Snapshot;
use crate::text::pattern::pattern;

/// Events and records of earlier days tell of what was tried then.
const RECENT: i64 = crate::domain::text::windows::DAY;

/// One node port refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Name of the Service.
    pub(super) service: String,
    /// Its namespace, where the place says it.
    pub(super) namespace: Option<String>,
    /// The number.
    pub(super) port: i64,
    /// The range that the API server has; `None` where the port was taken.
    pub(super) range: Option<(i64, i64)>,
    /// Somebody else had it.
    pub(super) taken: bool,
    /// What brings it into the cluster, and is refused: an Application of Argo CD, a HelmRelease or Kustomization of Flux.
    pub(super) bringer: Option<Bringer>,
    /// It is so still, and no record of what was tried.
    pub(super) stands: bool,
    /// The file that was applied.
    pub(super) file: Option<String>,
    /// Where it was read, and the template of the command that shows it again with its value.
    pub(super) source: String,
    pub(super) reproduce: (&'static str, String),
    /// The API server's words.
    pub(super) text: String,
}

/// An object of Argo CD or Flux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bringer {
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// All that were recorded.
pub(super) fn all(snap: &Snapshot) -> Vec<Refusal> {
    let mut found = Vec::new();
    for file in snap.manifests.items().unwrap_or_default() {
        for error in &file.errors {
            for told in read(&error.message) {
                let source = format!("{}:{}", file.path, error.line);
                let reproduce = ("grep -n 'provided port is' {{ value }}", file.path.clone());
                found.push(Refusal { file: error.file.clone(), source, reproduce, ..told });
            }
        }
    }
    found.extend(of_git_ops(snap));
    for event in snap.events.items().unwrap_or_default() {
        let age = event.last_seen().map(|t| snap.seconds_since(t));
        let told = event.message.contains("provided port is") && age.is_none_or(|a| a <= RECENT);
        if !told || recovered::is_done(snap, event) {
            continue;
        }
        let about = &event.involved_object;
        for told in read(&event.message) {
            let source = format!("event {} on {} {}/{}", event.reason, about.kind, about.namespace, about.name);
            let reproduce = ("kubectl get events -n {{ value }} --sort-by=.lastTimestamp", about.namespace.clone());
            let namespace = Some(about.namespace.clone()).filter(|n| !n.is_empty());
            let bringer = matches!(about.kind.as_str(), "HelmRelease" | "Kustomization").then(|| Bringer {
                kind: about.kind.clone(),
                namespace: about.namespace.clone(),
                name: about.name.clone(),
            });
            found.push(Refusal { namespace, bringer, source, reproduce, ..told });
        }
    }
    found
}

/// What Argo CD and Flux say of themselves: it stays there when the events are gone.
fn of_git_ops(snap: &Snapshot) -> Vec<Refusal> {
    let mut found = Vec::new();
    for failing in gitops::failing(snap) {
        let (object, resource) = (failing.object, gitops::resource(failing.object));
        let (namespace, name) = (&object.metadata.namespace, &object.metadata.name);
        for told in read(&failing.text) {
            let at = failing.resource.map(|r| r.namespace.clone()).filter(|n| !n.is_empty());
            let bringer = Bringer { kind: object.kind.clone(), namespace: namespace.clone(), name: name.clone() };
            found.push(Refusal {
                namespace: Some(at.unwrap_or_else(|| gitops::home(object).to_owned())),
                bringer: Some(bringer),
                stands: true,
                source: format!("{} {namespace}/{name} status", object.kind),
                reproduce: ("kubectl get {{ value }} -A -o yaml", resource.clone()),
                ..told
            });
        }
    }
    found
}

/// Reads an error of the API server; several Services and ports may be in one.
pub(super) fn read(text: &str) -> Vec<Refusal> {
    let text = text.replace("\\\"", "\"");
    let starts: Vec<(usize, String)> = pattern!(r#"Service "([^"]+)" is invalid"#)
        .captures_iter(&text)
        .filter_map(|c| Some((c.get(0)?.end(), c[1].to_owned())))
        .collect();
    let refused = pattern!(
        r#"(?i)[\w.\[\]]*nodeport: invalid value:? ['"]?(\d+)['"]?[:,] (?:details: )?provided port is (?:(already allocated)|not in the valid range(?:\. the range of valid ports is (\d+)-(\d+))?)"#
    );
    let mut found = Vec::new();
    for (at, (start, service)) in starts.iter().enumerate() {
        let end = starts.get(at + 1).map_or(text.len(), |(next, _)| *next);
        for told in refused.captures_iter(&text[*start..end]) {
            let number = |group: usize| told.get(group).and_then(|m| m.as_str().parse().ok());
            let Some(port) = number(1) else { continue };
            found.push(Refusal {
                service: service.clone(),
                namespace: None,
                port,
                range: number(3).zip(number(4)),
                taken: told.get(2).is_some(),
                bringer: None,
                stands: false,
                file: None,
                source: String::new(),
                reproduce: ("", String::new()),
                text: format!("Service \"{service}\" is invalid: {}", &told[0]),
            });
        }
    }
    found
}

//! What Helm and kubectl complained of in a record of their output that was given.

use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::model::{Evidence, ResourceRef, Signal, SignalKind, Weight};
use crate::snapshot::Snapshot;

/// Errors of one record that are told apart.
const PER_RECORD: usize = 4;
/// Longest part of an error that is shown.
const SHOWN: usize = 400;

/// Reads them.
pub(super) fn read(snap: &Snapshot) -> Vec<Signal> {
    let mut all = Vec::new();
    for file in snap.manifests.items().unwrap_or_default() {
        for error in file.errors.iter().take(PER_RECORD) {
            // What kubectl refused may have been corrected and applied again since; an upgrade that failed is kept as such.
            let weight = if error.message.contains(" FAILED: ") { Weight::Weighs } else { Weight::Note };
            let text = redact(&shorten(&error.message, SHOWN));
            let evidence =
                Evidence::new(format!("{}:{}", file.path, error.line), text.clone(), "grep -n Error {{ path }}")
                    .with("path", &file.path);
            let subject = ResourceRef::kubernetes("", "Record", "", format!("{}:{}", file.path, error.line));
            let title = format!("an error in the record {}", file.path);
            let signal = Signal::new(SignalKind::Release, subject, title, evidence).text(text).weight(weight);
            all.push(signal.explained_by_checks(&[
                "admission-denied",
                "crd-skew",
                "helm-leftover",
                "helm-refused",
                "node-port-range",
                "webhook-broken",
            ]));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::testing::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::manifests::{ManifestFile, apply_errors};

    #[test]
    fn an_upgrade_that_failed_weighs_and_a_manifest_may_be_corrected_by_now() {
        let weights = |text: &str| {
            let mut snap = snapshot();
            let mut file = ManifestFile::new("apply.log", text);
            file.errors = apply_errors(text);
            snap.manifests = Listing::cluster(vec![file]);
            read(&snap).iter().map(|s| s.weight).collect::<Vec<_>>()
        };
        assert_eq!(weights("Error: UPGRADE FAILED: something new\n"), [Weight::Weighs]);
        assert_eq!(weights("The Service \"a\" is invalid: spec.x: bad\n"), [Weight::Note]);
        assert!(weights("service/a unchanged\n").is_empty());
    }
}

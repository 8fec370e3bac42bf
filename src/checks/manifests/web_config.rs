//! A web configuration (`--web.config.file`) that no program takes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::written::{self, Corrected};
use crate::checks::{Check, check};
use crate::domain::manifests::written::Dialect;
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    WebConfig {
        id: "web-config", suite: Manifests, severity: Error,
        title: "a web configuration is not valid, so that its program does not start",
        requires: [Manifests],
        uses: [Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    File(Corrected),
}

impl Check for WebConfig {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn judge(&self, snap: &Snapshot) -> Option<Result<Diagnosis, Gap>> {
        Some(self.diagnose(snap))
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        written::judge(snap, Dialect::Web, &Self::META, Fix::File)
    }
}

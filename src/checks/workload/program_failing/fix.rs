//! What lets a program do what it fails at.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::kept::Kept;
use crate::checks::support::named::Named;
use crate::checks::support::reach::Reach;
use crate::checks::support::trust::Certificate;
use crate::checks::support::volume::Larger;
use crate::domain::crash::{Class, Crash};
use crate::domain::kubernetes::env_key;
use crate::domain::kubernetes::mounts::{self, Holder, Origin};
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::settings::Setting;
use crate::domain::programs::{Cause, Failing};
use crate::domain::text::answer::Answer;
use crate::domain::text::log_line::Line;
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::KeyRef;
use crate::text::credential::is_credential;

/// Letters of what was said that are shown.
const SHOWN: usize = 300;

/// The workload, and one way to fix it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    owner: String,
    rolls: bool,
    #[serde(flatten)]
    way: Way,
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Unreached(Reach),
    ApiServer {
        pod: String,
    },
    Certificate(Certificate),
    Login {
        detail: String,
        host: String,
        /// Secrets from which its environment is filled, each with its key.
        secrets: Vec<String>,
        /// The only one of them, and its key; empty where there are more, or none.
        secret: String,
        key: String,
        pod: String,
        /// Somebody makes the pod anew where it is deleted.
        remade: bool,
        #[serde(flatten)]
        kept: Kept,
    },
    Rights {
        detail: String,
        host: String,
        #[serde(flatten)]
        kept: Kept,
    },
    NotFound {
        detail: String,
        host: String,
        container: String,
        pod: String,
        /// Where the address stands.
        #[serde(flatten)]
        named: Named,
        #[serde(flatten)]
        kept: Kept,
    },
    Throttled {
        detail: String,
        host: String,
        #[serde(flatten)]
        kept: Kept,
    },
    Server {
        detail: String,
        host: String,
        service: String,
        service_namespace: String,
    },
    DiskFull {
        pod: String,
        file: String,
        /// The kubelet there knows how full the volume is.
        node: Option<String>,
        claim: Option<String>,
        #[serde(flatten)]
        larger: Larger,
    },
    NotWritten {
        detail: String,
        pod: String,
        file: String,
        group: Option<i64>,
        /// The path lies in no volume.
        own_root: bool,
        #[serde(flatten)]
        kept: Kept,
    },
}

impl Fix {
    pub(super) fn of(snap: &Snapshot, failing: &Failing<'_>, target: &Target<'_>, all: &[Setting]) -> Self {
        let (pod, container) = (failing.pod, failing.container);
        let named = || Named::of(snap, pod, target, all);
        let way = match &failing.cause {
            Cause::Own(crash) => match crash.class {
                Class::Certificate => Way::Certificate(Certificate::of(snap, (pod, container), target, crash, named())),
                Class::ApiServer => Way::ApiServer { pod: pod.metadata.name.clone() },
                Class::DiskFull => full(snap, failing, crash),
                Class::ReadOnly | Class::Permission => not_written(failing, target, crash),
                _ => Way::Unreached(Reach::of(snap, (pod, container), target, crash, named())),
            },
            Cause::Refused(answer, host) => refused(snap, failing, target, (*answer, host.as_deref()), named()),
        };
        Self { namespace: failing.log.namespace.clone(), owner: target.name.clone(), rolls: target.rolls, way }
    }
}

fn refused(
    snap: &Snapshot,
    failing: &Failing<'_>,
    target: &Target<'_>,
    (answer, host): (Answer, Option<&str>),
    named: Named,
) -> Way {
    let detail = shorten(&redact(&Line::parse(failing.line).text()), SHOWN);
    let (pod, kept) = (failing.pod.metadata.name.clone(), Kept::of(target));
    let service = host.and_then(|h| snap.service_by_host(h.split(':').next().unwrap_or(h))).map(|s| &s.metadata);
    let host = host.unwrap_or("the other program").to_owned();
    match answer {
        Answer::Login => {
            let all = secrets(failing);
            let (secret, key) = match all.as_slice() {
                [(_, from)] => (from.name.clone(), from.key.clone()),
                _ => Default::default(),
            };
            let told =
                all.iter().map(|(name, from)| format!("key {} of Secret {} (variable {name})", from.key, from.name));
            Way::Login { detail, host, secrets: told.collect(), secret, key, pod, remade: is_remade(failing), kept }
        }
        Answer::Rights => Way::Rights { detail, host, kept },
        Answer::NotFound => Way::NotFound { detail, host, container: failing.container.name.clone(), pod, named, kept },
        Answer::Throttled => Way::Throttled { detail, host, kept },
        Answer::Server => Way::Server {
            detail,
            host,
            service: service.map(|m| m.name.clone()).unwrap_or_default(),
            service_namespace: service.map(|m| m.namespace.clone()).unwrap_or_default(),
        },
    }
}

fn is_remade(failing: &Failing<'_>) -> bool {
    failing.pod.metadata.controller().is_some()
}

/// Variables that hold credentials, and the keys of Secrets that fill them.
fn secrets<'a>(failing: &Failing<'a>) -> Vec<(&'a str, &'a KeyRef)> {
    let all = env_key::all(failing.container, Holder::Secret);
    let told = all.filter(|(variable, _)| is_credential(&variable.name));
    told.map(|(variable, from)| (variable.name.as_str(), from)).collect()
}

fn full(snap: &Snapshot, failing: &Failing<'_>, crash: &Crash) -> Way {
    let (pod, namespace) = (failing.pod, &failing.pod.metadata.namespace);
    let file = crash.file.clone().unwrap_or_default();
    let mount = mounts::mount_of(failing.container, &file).map_or(file.as_str(), |m| m.mount_path.as_str());
    let origin = mounts::origin(snap, pod, failing.container, mount);
    Way::DiskFull {
        pod: pod.metadata.name.clone(),
        node: pod.spec.node_name.clone(),
        claim: match &origin {
            Origin::Claim { name, .. } => Some(name.clone()),
            _ => None,
        },
        larger: Larger::of(snap, namespace, &origin),
        file,
    }
}

fn not_written(failing: &Failing<'_>, target: &Target<'_>, crash: &Crash) -> Way {
    let file = crash.file.clone().unwrap_or_default();
    Way::NotWritten {
        detail: redact(&crash.reason),
        pod: failing.pod.metadata.name.clone(),
        group: failing.pod.spec.security_context.as_ref().and_then(|c| c.fs_group),
        own_root: mounts::mount_of(failing.container, &file).is_none(),
        file,
        kept: Kept::of(target),
    }
}

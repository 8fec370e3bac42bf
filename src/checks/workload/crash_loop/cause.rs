//! Why a container ends: by its log, by the events of its pod, by its exit code.

use crate::domain::crash::{self, Class, Crash, Detail};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::image::{base_of, tag_of};
use crate::domain::text::windows::RECENT;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, ContainerStatus, Pod};

/// Exit codes that say which signal ended it. Higher ones are the program's own: Go's and VictoriaMetrics' 255.
const SIGNALS: std::ops::RangeInclusive<i32> = 129..=159;

/// Why a container ends.
#[derive(Debug, Clone)]
pub(super) enum Cause {
    /// Its log says so; and whether it is the log before the last start.
    Said(Box<Crash>, bool),
    /// The kubelet ends it, because a probe fails; what the event says.
    Probe(String),
    /// The kubelet ends it, because its postStart hook fails; what the event says.
    Hook(String),
    /// It comes to its end without an error.
    Ends(Vec<String>, bool),
    /// Its log says nothing that is known: the last lines.
    Unknown(Vec<String>, bool),
    /// Its log could not be read.
    Unread(String),
}

/// Of a program that knows none of the container's arguments, not the argument is wrong but the image.
fn of_image(crash: Crash, container: &Container, text: &str) -> Crash {
    let Some((program, known)) = crash::usage_of(text).filter(|_| crash.class == Class::Flag) else { return crash };
    let given: Vec<&str> = arguments::names(container).collect();
    if given.len() < 2 || given.iter().any(|name| known.contains(name)) {
        return crash;
    }
    let reason =
        format!("its image {} starts {program}, which knows none of its arguments ({})", container.image, crash.reason);
    Crash { reason, detail: Detail::OtherProgram(program), advice: String::new(), ..crash }
}

/// The version of the driver of EBS that asks STS before it says anything: others wait for something else.
fn asks_first(image: &str) -> bool {
    let version = tag_of(image).and_then(|tag| tag.split('-').next()).unwrap_or_default();
    base_of(image).ends_with("ebs-csi-driver") && version.trim_start_matches('v') == "1.47.0"
}

impl Cause {
    pub(super) fn of(snap: &Snapshot, pod: &Pod, container: &Container, status: &ContainerStatus) -> Self {
        let ended = status.ended().map(|t| t.exit_code);
        let exit = ended.unwrap_or(0);
        let logs = snap.crash_logs().map(Vec::as_slice).unwrap_or_default();
        let own = logs.iter().filter(|l| l.is_of(&pod.metadata) && l.container == container.name);
        let own: Vec<_> = own.collect();
        // The previous log comes first; the end of the log can also be the termination message.
        let log = own.iter().max_by_key(|l| l.previous && !l.text.trim().is_empty());
        let message = status.ended().and_then(|t| t.message.as_deref()).unwrap_or_default();
        let (text, previous) = match log {
            Some(log) if !log.text.trim().is_empty() => (&*log.text, log.previous),
            _ => (message, true),
        };
        // After a signal only what the volume lacks can have led to it, or a kernel that does not suit it.
        // Nor does a probe say more of what still waited.
        let waits = |c: &Crash| c.detail == Detail::Waits;
        let said = crash::classify(container.program(), text)
            .filter(|c| !SIGNALS.contains(&exit) || c.class.is_storage() || c.class.is_of_kernel() || waits(c))
            .filter(|c| !waits(c) || asks_first(&container.image));
        let said = said.or_else(|| crash::by_exit_code(text, exit));
        let said = said.map(|c| Self::Said(Box::new(of_image(c, container, text)), previous));
        let last = || crash::last_lines(text);
        match (exit, probe(snap, pod, container)) {
            (1.., _)
                if said
                    .as_ref()
                    .is_some_and(|s: &Self| !SIGNALS.contains(&exit) || s.detail() == Some(&Detail::Waits)) =>
            {
                said.unwrap_or(Self::Unknown(Vec::new(), previous))
            }
            (_, Some(probe)) => Self::Probe(probe),
            // What it says itself of its end is the kubelet's doing.
            (_, None)
                if said.is_none()
                    && let Some(hook) = hook(snap, pod, container) =>
            {
                Self::Hook(hook)
            }
            (0, None) if ended.is_some() => Self::Ends(last(), previous),
            _ => match (said, snap.crash_logs()) {
                (Some(said), _) => said,
                (None, Err(gap)) if text.is_empty() => Self::Unread(gap.to_string()),
                (None, _) => match own.iter().find_map(|l| l.text.gap()).filter(|_| text.trim().is_empty()) {
                    Some(gap) => Self::Unread(gap.to_string()),
                    None => Self::Unknown(last(), previous),
                },
            },
        }
    }

    /// What tells it from another cause of the same container.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Said(crash, _) => {
                format!("{:?} {}", crash.class, crash.file.as_deref().unwrap_or_default()).trim().to_owned()
            }
            Self::Probe(_) => "probe".to_owned(),
            Self::Hook(_) => "hook".to_owned(),
            Self::Ends(..) => "ends".to_owned(),
            Self::Unknown(..) | Self::Unread(_) => "unknown".to_owned(),
        }
    }

    /// What the log says, for the evidence; and whether it is the previous log.
    pub(super) fn said(&self) -> Option<(String, bool)> {
        match self {
            Self::Said(crash, previous) => Some((crash.said.clone(), *previous)),
            Self::Ends(lines, previous) | Self::Unknown(lines, previous) if !lines.is_empty() => {
                Some((lines.join("\n"), *previous))
            }
            _ => None,
        }
    }

    /// Something is known of why it ends: what the log says, or how the container ended.
    pub(super) fn is_known(&self) -> bool {
        match self {
            Self::Said(..) | Self::Probe(_) | Self::Hook(_) => true,
            Self::Ends(lines, _) | Self::Unknown(lines, _) => !lines.is_empty(),
            Self::Unread(_) => false,
        }
    }

    fn detail(&self) -> Option<&Detail> {
        match self {
            Self::Said(crash, _) => Some(&crash.detail),
            _ => None,
        }
    }

    /// It refuses a flag or a field that its version does not know.
    pub(super) fn is_of_version(&self) -> bool {
        match self {
            Self::Said(crash, _) => match crash.class {
                Class::Flag => crash.reason.starts_with("unknown flag ") && crash.detail == Detail::None,
                Class::Config => crash.detail == Detail::UnknownField,
                Class::CrdMissing => true,
                // The older one did not ask for it.
                Class::Cache => true,
                _ => false,
            },
            _ => false,
        }
    }

    pub(super) fn class(&self) -> Option<Class> {
        match self {
            Self::Said(crash, _) => Some(crash.class),
            _ => None,
        }
    }
}

/// The event with which the kubelet says that it ends a container whose probe fails.
pub(super) fn probe(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<String> {
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    let killing = events
        .iter()
        .find(|e| e.reason == "Killing" && e.message.contains("probe") && names(&e.message, &container.name))?;
    let which = if killing.message.contains("startup") { "Startup" } else { "Liveness" };
    let failed = events.iter().find(|e| e.reason == "Unhealthy" && e.message.starts_with(which));
    Some(failed.map_or_else(|| killing.message.clone(), |e| e.message.clone()).trim().to_owned())
}

/// `Container web failed liveness probe, will be restarted`: of this container, and not of `web-proxy`.
fn names(message: &str, container: &str) -> bool {
    let rest = message.split_once(&format!("ontainer {container}")).map(|(_, rest)| rest);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-'))
}

/// The event with which the kubelet says that the postStart hook of a container fails, upon which it ends the container.
fn hook(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<String> {
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    let own = |message: &str| {
        !message.contains("Container \"") || message.contains(&format!("Container \"{}\"", container.name))
    };
    // Newer kubelets name no container: then it is the only one of the pod that starts again.
    let alone = pod
        .spec
        .containers
        .iter()
        .filter(|c| c.name != container.name)
        .all(|c| pod.status.container_statuses.iter().any(|s| s.name == c.name && s.restart_count == 0));
    let failed = events.iter().find(|e| {
        e.reason == "FailedPostStartHook" && own(&e.message) && (alone || e.message.contains("Container \""))
    })?;
    // `Exec lifecycle hook ([…]) for Container "c" in Pod "p" failed - error: command '…' exited with 127: …, message: "…"`
    let message = failed.message.trim();
    let why = message.split_once("failed - error: ").map_or(message, |(_, why)| why);
    let why = why.split_once(", message: ").map_or(why, |(why, _)| why);
    Some(why.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Gap, GapCause};
    use crate::snapshot::Text;
    use crate::snapshot::monitoring::ContainerLog;

    #[test]
    fn a_container_is_not_meant_by_the_name_of_another() {
        let said = "Container web-proxy failed liveness probe, will be restarted";
        assert!(names(said, "web-proxy") && !names(said, "web"));
    }

    #[test]
    fn a_log_that_is_refused_is_not_empty() {
        let ended = json!({"exitCode": 1, "reason": "Error", "finishedAt": "2026-11-21T02:59:00Z"});
        let status = json!({"name": "c", "restartCount": 3, "lastState": {"terminated": ended}});
        let pod = json!({"metadata": {"namespace": "monitoring", "name": "p"},
            "spec": {"containers": [{"name": "c", "image": "c:1"}]}, "status": {"containerStatuses": [status]}});
        let pod: Pod = serde_json::from_value(pod).expect("is a pod");
        let of = |text: Text| {
            let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
            let log = ContainerLog {
                namespace: "monitoring".into(),
                pod: "p".into(),
                container: "c".into(),
                previous: true,
                text,
                ..ContainerLog::default()
            };
            *snap.crash_logs = Ok(vec![log]);
            Cause::of(&snap, &pod, &pod.spec.containers[0], &pod.status.container_statuses[0])
        };
        let refused = of(Text::unread(Gap::new("log", GapCause::Unreachable, "no")));
        assert!(matches!(refused, Cause::Unread(_)), "{refused:?}");
        let empty = of("".into());
        assert!(matches!(empty, Cause::Unknown(..)), "{empty:?}");
    }

    #[test]
    fn one_version_asks_first() {
        for (image, wanted) in [
            ("public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:v1.47.0", true),
            ("602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/aws-ebs-csi-driver:v1.47.0-eksbuild.1", true),
            ("public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:v1.47.1", false),
            ("public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver", false),
            ("registry/other:v1.47.0", false),
        ] {
            assert_eq!(asks_first(image), wanted, "{image}");
        }
    }
}

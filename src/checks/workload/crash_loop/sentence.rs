//! Why it ends, in one sentence.

use crate::checks::workload::crash_loop::case::{Case, on_network};
use crate::checks::workload::crash_loop::cause::Cause;
use crate::checks::workload::crash_loop::gpu::Lacks;
use crate::checks::workload::crash_loop::node_kernel;
use crate::domain::crash::{Class, is_usage, last_lines, telling};
use crate::domain::kubernetes::mounts::{self, Origin};
use crate::domain::kubernetes::runtime_error;
use crate::domain::kubernetes::starting::says_failure;
use crate::domain::text::log_line::{Level, Line};

impl<'a> Case<'a> {
    /// Why it ends, in one sentence.
    pub(super) fn sentence(&self) -> String {
        match (&self.failing.cause, &self.crash) {
            (_, Some(crash)) => {
                let mut text = crash.sentence();
                if crash.class == Class::Device && on_network(self) {
                    let text_of_disk = text.replacen("the disk gives errors: ", "", 1);
                    text = format!("the network file system that its data lies on gives errors: {text_of_disk}");
                }
                if crash.class == Class::Gpu {
                    text.push_str(&format!(": {}", Lacks::of(self).words(self)));
                }
                text.push_str(&node_kernel::words(self));
                if let (true, Origin::ConfigMap { name, .. }) = (self.is_corrected, &self.origin) {
                    text.push_str(&format!(
                        "; ConfigMap {name} no longer holds it, but the pod still has the old file"
                    ));
                } else if let Some(missing) = self.missing_key() {
                    text.push_str(&format!("; {missing}"));
                }
                text
            }
            (Cause::Probe(said), _) if self.loses_probes() => format!(
                "the kubelet ends it because {said}; the pod has security groups of its own, and the VPC CNI is not set up to let probes through to such pods"
            ),
            (Cause::Probe(said), _) if self.asks_for_a_login().is_some() => format!(
                "the kubelet ends it because its probe brings no login, and the program asks everybody for one ({said})"
            ),
            (Cause::Probe(said), _) if self.asks_for_no_path().is_some() => self.without_path(said),
            (Cause::Probe(said), _) => match self.listens_to_itself() {
                Some(address) => format!(
                    "the kubelet ends it because it answers its probe on {address} only, which nobody outside the container reaches ({said})"
                ),
                None if self.still_at().is_some() => {
                    let work = self.still_at().unwrap_or_default();
                    format!("the kubelet ends it while it is still at {work}, and it begins again each time ({said})")
                }
                None => {
                    let more = self.listens_elsewhere().map(|e| e.words()).or_else(|| self.last_words());
                    let more = more.map(|m| format!("; {m}")).unwrap_or_default();
                    format!("the kubelet ends it because {said}{more}")
                }
            },
            (Cause::Hook(said), _) => format!("the kubelet ends it because its postStart hook fails: {said}"),
            (Cause::Ends(..), _) => "it comes to its end without an error: its command does not stay up".to_owned(),
            (Cause::Unread(gap), _) => format!("its log could not be read ({gap})"),
            (Cause::Unknown(..), _) if self.log().any(is_usage) => {
                "it prints how it is used and ends: it lacks an argument or a variable, or gets one that it does not take".to_owned()
            }
            (Cause::Unknown(lines, _), _) => match telling(lines) {
                Some(line) if self.never_began() => match self.runtime() {
                    Some((said, known)) => {
                        let meaning = known.meaning().map(|m| format!(": {m}")).unwrap_or_default();
                        format!("the container runtime of its node fails ({said}){meaning}")
                    }
                    None => format!("the container runtime refuses it: {line}"),
                },
                Some(line) if Line::parse(&line).level == Level::Warning => {
                    format!("its log ends without an error, with the warning: {line}")
                }
                Some(line) => format!("its log ends with: {line}"),
                None if self.log().next().is_none() => "its last log is not to be had".to_owned(),
                None => "its log is empty".to_owned(),
            },
            (Cause::Said(..), None) => String::new(),
        }
    }

    /// Its probe asks for a path that it does not have.
    fn without_path(&self, said: &str) -> String {
        let Some(path) = self.asks_for_no_path() else { return said.to_owned() };
        let where_else = match path.prefix.as_deref() {
            Some("") => ", and its flags make it answer at /".to_owned(),
            Some(prefix) => format!(", and its flags make it answer below {prefix}"),
            None => String::new(),
        };
        format!(
            "the kubelet ends it because its probe asks for {}, which it does not have{where_else} ({said})",
            path.asked
        )
    }

    /// The runtime ended it before its program began: what is said of it is the runtime's word, and no log.
    pub(super) fn never_began(&self) -> bool {
        let ended = self.failing.status.ended();
        ended.is_some_and(|t| matches!(t.reason.as_str(), "StartError" | "ContainerCannotRun"))
    }

    /// What the runtime met, where that lies with the node.
    pub(super) fn runtime(&self) -> Option<(&'a str, runtime_error::Known)> {
        let ended = self.failing.status.ended().filter(|_| self.never_began())?;
        runtime_error::of_node(ended.message.as_deref()?)
    }

    /// `ConfigMap x has no key y`, where a file is missing because of that.
    fn missing_key(&self) -> Option<String> {
        let crash = self.crash.as_ref()?;
        if !matches!(crash.class, Class::ConfigMissing | Class::ConfigDirectory | Class::WebConfig) {
            return None;
        }
        let (map, text) = mounts::config_map(self.snap, self.namespace(), &self.origin)?;
        let Origin::ConfigMap { name, key } = &self.origin else { return None };
        if text.is_some() || key.is_empty() {
            return None;
        }
        let keys: Vec<&str> = map.data.keys().map(String::as_str).collect();
        Some(format!("ConfigMap {name} has no key {key} (it has {})", keys.join(", ")))
    }

    /// What it complains of in the end, where its probe ends it: `its log ends with: …`.
    fn last_words(&self) -> Option<String> {
        let text = self.log().find(|text| !text.trim().is_empty())?;
        let last = telling(&last_lines(text)).filter(|line| says_failure(line))?;
        Some(format!("its log ends with: {last}"))
    }
}

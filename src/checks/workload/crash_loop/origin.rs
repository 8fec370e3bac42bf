//! What fills the file or directory that a crash is about, and what is wrong in it.

use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::grafana::provisioned::{self, File, Instance, Kind};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::mounts::{self, Mounts, Origin};
use crate::model::Program;
use crate::snapshot::kubernetes::{Container, Pod, Volume};
use crate::snapshot::{Snapshot, journal};
use crate::text::pattern::pattern;

/// What fills the file or directory that a crash is about. Names the file where the log does not.
pub(super) fn origin(snap: &Snapshot, pod: &Pod, container: &Container, crash: &mut Crash) -> Origin {
    let program = container.program();
    if crash.class == Class::Template {
        return template(snap, pod, container, crash);
    }
    // Flags that agent mode refuses stand in no file.
    let in_file = crash.class.is_configuration() && (crash.class != Class::Agent || crash.what.is_some());
    let is_configuration = in_file
        || crash.class == Class::Ini && crash.file.is_some()
        || matches!(crash.class, Class::ConfigMissing | Class::ConfigDirectory | Class::Unreadable | Class::WebConfig);
    if is_configuration {
        let usual = match program {
            Some(Program::Alertmanager) => "/etc/alertmanager/alertmanager.yml",
            Some(Program::Grafana) => "/etc/grafana/grafana.ini",
            Some(Program::Prometheus) => "/etc/prometheus/prometheus.yml",
            None => "",
        };
        let flags = ["config.file", "promscrape.config", "config", "receive.hashrings-file"];
        let named = flags.iter().find_map(|f| arguments::flag(container, f));
        let other = || arguments::other_config_file(container, &crash.said).filter(|_| program.is_none());
        let named = named.or_else(other).unwrap_or(usual);
        if named.is_empty() && crash.file.is_none() {
            return Origin::Image;
        }
        let file = crash.file.get_or_insert_with(|| named.to_owned());
        return mounts::origin(snap, pod, container, file);
    }
    if crash.class == Class::Provisioning {
        return provisioning(snap, pod, container, crash);
    }
    if crash.class.is_storage() {
        let usual = data_path(pod, container);
        let of_data = mounts::origin(snap, pod, container, usual);
        // Another volume than that of the data can be meant, but the path of the data is what commands need.
        return match &crash.file {
            Some(file)
                if !file.starts_with(usual)
                    && matches!(mounts::origin(snap, pod, container, file), Origin::Claim { .. }) =>
            {
                let mount = mounts::mount_of(container, file).map_or(usual, |m| m.mount_path.as_str());
                mounts::origin(snap, pod, container, mount)
            }
            _ => of_data,
        };
    }
    Origin::Image
}

/// Where Grafana's provisioning files lie.
const PROVISIONING: &str = "/etc/grafana/provisioning/";

/// What fills a provisioning file, which Grafana names without its folder.
fn provisioning(snap: &Snapshot, pod: &Pod, container: &Container, crash: &mut Crash) -> Origin {
    let Some(name) = crash.file.clone() else { return named_in(snap, pod, crash).unwrap_or(Origin::Image) };
    if name.starts_with('/') {
        return mounts::origin(snap, pod, container, &name);
    }
    let files = Mounts::of_pod(snap, pod, container).files();
    let end = format!("/{name}");
    let mut same = files.iter().filter(|f| f.path.starts_with(PROVISIONING) && f.path.ends_with(&end));
    match (same.next(), same.next()) {
        (Some(file), None) => {
            crash.file = Some(file.path.clone());
            Origin::ConfigMap { name: file.map.metadata.name.clone(), key: file.key.to_owned() }
        }
        _ => Origin::Image,
    }
}

/// The one ConfigMap of alert rules and policies that names what does not exist: Grafana does not say in which file it stands.
fn named_in(snap: &Snapshot, pod: &Pod, crash: &mut Crash) -> Option<Origin> {
    let found = pattern!(r#"(?:receiver|contact point|mute timing|time interval) ['"]?(.+?)['"]? does not exist"#);
    let name = found.captures(&crash.reason)?[1].to_owned();
    let instances = journal::aside(|| provisioned::instances(snap)).ok()?;
    let is_own = |i: &&Instance<'_>| i.pods(snap).iter().any(|p| p.metadata.uid == pod.metadata.uid);
    let files = instances.iter().find(is_own)?.files(snap, Kind::Alerting);
    let holds = |f: &&File<'_>| {
        f.config_map.metadata.namespace == pod.metadata.namespace && f.text.lines().any(|l| l.contains(&name))
    };
    let mut same = files.iter().filter(holds);
    let (file, None) = (same.next()?, same.next()) else { return None };
    crash.file = Some(format!("{PROVISIONING}alerting/{}", file.key));
    Some(Origin::ConfigMap { name: file.config_map.metadata.name.clone(), key: file.key.to_owned() })
}

/// The folder in which a program keeps its data.
pub(super) fn data_path<'a>(pod: &Pod, container: &'a Container) -> &'a str {
    match container.program() {
        Some(Program::Prometheus) => arguments::flag(container, "storage.tsdb.path").unwrap_or("/prometheus"),
        Some(Program::Alertmanager) => arguments::flag(container, "storage.path").unwrap_or("/alertmanager"),
        None => match base_of(&container.image) {
            "loki" => chosen_path(pod, container).unwrap_or("/var/loki"),
            "mimir" => chosen_path(pod, container).unwrap_or("/data"),
            "tempo" => chosen_path(pod, container).unwrap_or("/var/tempo"),
            "thanos" => chosen_path(pod, container).unwrap_or("/var/thanos"),
            _ => "/var/lib/grafana",
        },
        _ => "/var/lib/grafana",
    }
}

/// The folder that a flag of Thanos names, else where the pod's claim is: that path is everybody's own choice.
fn chosen_path<'a>(pod: &Pod, container: &'a Container) -> Option<&'a str> {
    let flags = ["data-dir", "tsdb.path"].iter().find_map(|name| arguments::flag(container, name));
    let is_claim = |name: &str| {
        let lasts = |v: &Volume| v.persistent_volume_claim.is_some() || v.ephemeral.is_some();
        pod.spec.volumes.iter().any(|v| v.name == name && lasts(v))
    };
    let mount = || container.volume_mounts.iter().find(|m| is_claim(&m.name)).map(|m| m.mount_path.as_str());
    flags.filter(|path| path.starts_with('/')).or_else(mount)
}

/// A template is named without its directory.
fn template(snap: &Snapshot, pod: &Pod, container: &Container, crash: &Crash) -> Origin {
    let Some(file) = &crash.file else { return Origin::Image };
    let all = container
        .volume_mounts
        .iter()
        .map(|m| mounts::origin(snap, pod, container, &format!("{}/{file}", m.mount_path)));
    let holds =
        |o: &Origin| mounts::config_map(snap, &pod.metadata.namespace, o).is_some_and(|(_, text)| text.is_some());
    all.clone().find(holds).or_else(|| all.clone().find(|o| !matches!(o, Origin::Image))).unwrap_or(Origin::Image)
}

/// Finds the line of what is wrong, where the log does not say it. True if the text no longer holds what is wrong.
pub(super) fn complete(crash: &mut Crash, text: &str) -> bool {
    let Some(what) = crash.what.as_deref().filter(|w| w.len() > 1) else { return false };
    let of_file = matches!(crash.class, Class::Config | Class::Agent) && crash.detail != Detail::KubernetesObject;
    if !of_file {
        return false;
    }
    let is_comment = |l: &str| l.trim_start().starts_with('#');
    let hits: Vec<usize> =
        text.lines().enumerate().filter(|(_, l)| l.contains(what) && !is_comment(l)).map(|(at, _)| at + 1).collect();
    match (crash.line, hits.as_slice()) {
        (_, []) => return !matches!(crash.detail, Detail::Url | Detail::MayLack),
        // A file that changed since then has its line elsewhere.
        (Some(line), [one]) if line != *one => crash.line = Some(*one),
        (None, [one]) => crash.line = Some(*one),
        // A name that is used and not defined stands where it is used.
        (None, [first, ..]) if matches!(crash.detail, Detail::UndefinedReceiver | Detail::Undefined) => {
            crash.line = Some(*first)
        }
        _ => {}
    }
    false
}

//! Where a dashboard's file comes from that Grafana finds empty, cut off or no JSON at all: a ConfigMap that holds it so, or a
//! download that brought no more.

use crate::domain::grafana::provisioned::{Instance, Kind};
use crate::domain::kubernetes::mounts::Mounts;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ConfigMap, Container};
use crate::text::pattern::pattern;

/// In which way a file is no dashboard, by what Grafana says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It holds nothing.
    Empty,
    /// It ends before its time.
    Cut,
    /// It is a page for people: an error, a login.
    Page,
}

impl Broken {
    /// Reads the error with which a file is not loaded.
    pub(crate) fn of(error: &str) -> Option<Self> {
        let error = error.trim();
        match () {
            () if error == "EOF" || error.ends_with(": EOF") => Some(Self::Empty),
            () if ["unexpected EOF", "unexpected end of JSON input"].iter().any(|w| error.ends_with(w)) => {
                Some(Self::Cut)
            }
            () if error.contains("invalid character '<' looking for beginning of value") => Some(Self::Page),
            () => None,
        }
    }

    /// What is seen of a text that somebody holds; `None` where it is JSON, or broken in its middle.
    fn of_text(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::Empty);
        }
        if text.trim_start().starts_with('<') {
            return Some(Self::Page);
        }
        let error = serde_json::from_str::<serde_json::Value>(text).err()?;
        error.is_eof().then_some(Self::Cut)
    }
}

/// What filled the file.
#[derive(Debug, Clone)]
pub(crate) enum Source<'a> {
    /// The key of a ConfigMap, which is broken itself.
    Map { map: &'a ConfigMap, key: &'a str, broken: Broken },
    /// What a container fetched from an address.
    Download { container: &'a str, url: String },
}

/// What filled a file of dashboards, by its path in Grafana's container.
pub(crate) fn source<'a>(snap: &'a Snapshot, instance: Instance<'a>, file: &str) -> Option<Source<'a>> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let mut held = instance.keyed(snap, Kind::Dashboards, name).into_iter();
    if let Some((map, key, text)) = held.next().filter(|_| held.next().is_none()) {
        return Broken::of_text(text).map(|broken| Source::Map { map, key, broken });
    }
    by_address(snap, instance, name).or_else(|| by_script(snap, instance, file))
}

/// A key `name.json.url` holds the address from which the side-car fetches the file.
fn by_address<'a>(snap: &'a Snapshot, instance: Instance<'a>, name: &str) -> Option<Source<'a>> {
    let (_, _, text) = instance.keyed(snap, Kind::Dashboards, &format!("{name}.url")).into_iter().next()?;
    let container = instance.sidecar_name(Kind::Dashboards)?;
    Some(Source::Download { container, url: text.trim().to_owned() })
}

/// A container that runs before Grafana fetches it: its arguments, or a script that it mounts, name the file.
fn by_script<'a>(snap: &'a Snapshot, instance: Instance<'a>, file: &str) -> Option<Source<'a>> {
    let spec = &instance.workload.spec.template.spec;
    spec.init_containers.iter().find_map(|container| {
        let url = scripts(snap, instance, container).iter().find_map(|text| url_of(text, file))?;
        Some(Source::Download { container: &container.name, url })
    })
}

/// What a container runs, as far as it is written somewhere.
fn scripts(snap: &Snapshot, instance: Instance<'_>, container: &Container) -> Vec<String> {
    let own = container.command.iter().chain(&container.args).cloned().collect::<Vec<_>>().join("\n");
    let mounted = Mounts::of(snap, instance.workload, container).files();
    let mounted = mounted.iter().filter(|f| f.key.ends_with(".sh")).map(|f| f.text.to_owned());
    std::iter::once(own).chain(mounted).collect()
}

/// The address that stands nearest before a file in a script, `curl … URL > FILE`, or in the line that names it.
fn url_of(script: &str, file: &str) -> Option<String> {
    let url = pattern!(r#"https?://[^\s"'|>\\]+"#);
    let at = script.find(file)?;
    let (before, after) = script.split_at(at);
    // `curl -o FILE URL`
    let line = after.lines().next().unwrap_or_default();
    let is_option = before.trim_end_matches(['"', '\'']).trim_end().ends_with(['o', 'O']);
    let behind = || url.find(line);
    let ahead = || url.find_iter(before).last();
    let found = if is_option { behind().or_else(ahead) } else { ahead().or_else(behind) };
    found.map(|m| m.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_file_and_what_it_is() {
        assert_eq!(Broken::of("EOF"), Some(Broken::Empty));
        assert_eq!(Broken::of("unexpected EOF"), Some(Broken::Cut));
        assert_eq!(Broken::of("invalid character '<' looking for beginning of value"), Some(Broken::Page));
        assert_eq!(Broken::of("invalid character '}' looking for beginning of object key string"), None);
        assert_eq!(Broken::of_text(" \n"), Some(Broken::Empty));
        assert_eq!(Broken::of_text("{\"title\": \"a\", \"panels\": [{"), Some(Broken::Cut));
        assert_eq!(Broken::of_text("<!DOCTYPE html>"), Some(Broken::Page));
        assert_eq!((Broken::of_text("{}"), Broken::of_text("{\"a\": 1,}")), (None, None));
    }

    #[test]
    fn the_address_is_that_of_the_file() {
        let script = "curl -skf \\\n  \"https://grafana.com/api/dashboards/1860/revisions/37/download\" \\\n  | sed s/a/b/ \\\n> \"/d/default/node.json\"\n\
            curl -skf \"https://grafana.com/api/dashboards/3662/revisions/2/download\" > \"/d/default/prom.json\"\n";
        let of = |file: &str| url_of(script, file);
        assert!(of("/d/default/node.json").is_some_and(|u| u.contains("/1860/")));
        assert!(of("/d/default/prom.json").is_some_and(|u| u.contains("/3662/")));
        assert_eq!(of("/d/default/other.json"), None);
        let option = "curl -o /d/a.json https://git.example/a.json && curl -o /d/b.json https://git.example/b.json";
        assert_eq!(url_of(option, "/d/b.json").as_deref(), Some("https://git.example/b.json"));
    }
}

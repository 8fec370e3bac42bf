//! A Grafana whose datasources are all in the files.

use std::collections::BTreeSet;

use super::{Listed, name_of};
use crate::domain::grafana::provisioned::generated_uid;
use crate::domain::manifests::given::may_meet;
use crate::lint::yaml::Node;
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// A Grafana of the files that has no other datasources than those of the files.
pub(super) struct Closed<'a> {
    pub(super) workload: &'a Manifest,
    /// ConfigMaps that it mounts.
    pub(super) maps: Vec<&'a str>,
    /// Uids and names.
    pub(super) known: BTreeSet<String>,
    pub(super) kinds: BTreeSet<String>,
}

/// Images of Grafana by their last part.
const IMAGES: [&str; 3] = ["grafana", "grafana-oss", "grafana-enterprise"];

impl<'a> Closed<'a> {
    /// The one Grafana of the files, if all that it is provisioned with is in them and it keeps nothing else.
    pub(super) fn of(snap: &'a Snapshot, lists: &[Listed<'a>]) -> Option<Self> {
        let all = ["Deployment", "StatefulSet"].into_iter().flat_map(|kind| snap.manifest_objects("apps", kind));
        let mut grafanas = all.filter_map(|(_, object)| Some((object, container(object)?)));
        let (workload, own) = grafanas.next().filter(|_| snap.files_alone)?;
        if grafanas.next().is_some() {
            return None;
        }
        let pod = workload.node.at(&["spec", "template", "spec"])?;
        let volumes = pod.get("volumes").and_then(Node::items)?;
        let plain = |v: &Node| {
            let mut keys = v.entries().unwrap_or_default().iter().filter_map(|(k, _)| k.as_str());
            keys.all(|k| matches!(k, "name" | "configMap" | "emptyDir" | "secret"))
        };
        let variables = own.get("env").and_then(Node::items).unwrap_or_default();
        let other = variables.iter().any(|v| name_of(v).starts_with("GF_DATABASE")) || own.get("envFrom").is_some();
        let beside = ["containers", "initContainers"].iter().flat_map(|k| pod.get(k).and_then(Node::items));
        let sidecar = beside.flatten().any(|c| image(c).contains("sidecar"));
        let claims = workload.node.at(&["spec", "volumeClaimTemplates"]).is_some();
        if claims || other || sidecar || !volumes.iter().all(plain) {
            return None;
        }
        let mounts = own.get("volumeMounts").and_then(Node::items)?;
        let volume = |mount: &Node| volumes.iter().find(|v| name_of(v) == name_of(mount));
        let map_of = |mount: &Node| volume(mount)?.at(&["configMap", "name"])?.as_str();
        let maps: Vec<&'a str> = mounts.iter().filter_map(map_of).collect();
        let (mut known, mut kinds) = (BTreeSet::new(), BTreeSet::new());
        for mount in mounts {
            let path = mount.get("mountPath").and_then(Node::as_str)?.trim_end_matches('/');
            let provisions = path.contains("/provisioning/datasources") || path.ends_with("/provisioning");
            if !provisions && path != "/etc/grafana" {
                continue;
            }
            let map = map_of(mount)?;
            let is_it = |o: &Manifest| o.name == map && may_meet(o, workload);
            let list: Vec<&Listed<'_>> = lists.iter().filter(|l| l.object.is_some_and(is_it)).collect();
            if list.is_empty() {
                return None;
            }
            for item in list.iter().flat_map(|l| &l.items) {
                let uid = item.get("uid").and_then(Node::as_str).filter(|u| !u.is_empty());
                known.insert(uid.map_or_else(|| generated_uid(name_of(item)), str::to_owned));
                known.insert(name_of(item).to_owned());
                kinds.insert(item.get("type").and_then(Node::as_str).unwrap_or_default().to_owned());
            }
        }
        // A database elsewhere keeps what is made by hand.
        let data = |(_, map): (&ManifestFile, &'a Manifest)| {
            let own = maps.contains(&map.name.as_str()) && may_meet(map, workload);
            map.node.get("data").and_then(Node::entries).filter(|_| own)
        };
        let texts = snap.manifest_objects("", "ConfigMap").filter_map(data).flatten();
        let database = texts.into_iter().any(|(_, v)| v.as_str().is_some_and(|t| t.contains("[database]")));
        (!known.is_empty() && !database).then_some(Self { workload, maps, known, kinds })
    }
}

fn image(container: &Node) -> &str {
    container.get("image").and_then(Node::as_str).unwrap_or_default()
}

/// The container that runs Grafana.
fn container(workload: &Manifest) -> Option<&Node> {
    let containers = workload.node.at(&["spec", "template", "spec", "containers"])?.items()?;
    let name = |image: &str| image.rsplit('/').next().unwrap_or_default().split([':', '@']).next().map(str::to_owned);
    containers.iter().find(|c| name(image(c)).is_some_and(|n| IMAGES.contains(&n.as_str())))
}

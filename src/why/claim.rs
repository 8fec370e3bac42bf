//! A claim: class → driver → role → provider → volume.

use super::build::{Builder, Claims, Seen, broken, idle, right, untold};
use super::pod::{QUOTED, VOLUMES};
use super::shown;
use crate::domain::aws::ebs;
use crate::domain::kubernetes::claims;
use crate::domain::text::shorten::shorten;
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{PersistentVolumeClaim, StorageClass};
use crate::snapshot::{Fetched, Platform, Snapshot};

/// Classes whose volumes are made by hand.
const BY_HAND: &str = "kubernetes.io/no-provisioner";

pub(super) fn chain(b: &mut Builder<'_>, claim: &PersistentVolumeClaim) {
    let snap = b.snap;
    let meta = &claim.metadata;
    let class = claims::class_of(snap, claim).ok().flatten();
    let named = match claim.class() {
        Some(name) => ResourceRef::storage_class(name),
        None => ResourceRef::default_storage_class(),
    };
    b.link("class", vec![named], Claims::All, || class_link(snap, claim));
    let provisioner = class.map(|c| c.provisioner.as_str()).or_else(|| claims::awaited_provisioner(snap, claim));
    if let Some(provisioner) = provisioner.filter(|p| *p != BY_HAND) {
        driver(b, claim, provisioner);
    }
    let own = vec![ResourceRef::pvc(&meta.namespace, &meta.name)];
    b.link("volume", own, Claims::Of(VOLUMES), || volume(snap, claim, class));
}

fn class_link(snap: &Snapshot, claim: &PersistentVolumeClaim) -> Fetched<Seen> {
    if claim.class() == Some("") {
        return Ok(idle("it asks for no class: it takes a volume that was made by hand"));
    }
    let is_bound = claim.status.phase == "Bound";
    let classes = snap.storage_classes();
    // Where the classes cannot be read, an event may still say it.
    if classes.is_err()
        && let Some(event) = claims::class_not_found(snap, claim)
    {
        return Ok(broken(shorten(&event.message, QUOTED)).with(shown::described("pvc", &claim.metadata)));
    }
    let shown = shown::written("pvc", &claim.metadata);
    Ok(match (claims::class_of(snap, claim)?, claim.class()) {
        (Some(class), _) => {
            let when = if class.waits_for_consumer() { ", once a pod that uses it has a node" } else { "" };
            let default = if claim.class().is_none() { " (the default)" } else { "" };
            right(format!("{}{default}: volumes by {}{when}", class.metadata.name, class.provisioner))
                .with(shown::object("storageclass", &class.metadata))
        }
        (None, Some(name)) if is_bound => idle(format!("StorageClass {name} is not there; the volume is")),
        (None, None) if is_bound => idle("it names no class; the volume is there"),
        (None, Some(name)) if claims::has_static_volume(snap, claim, name) => {
            right(format!("{name}, by which volumes made by hand are found")).with(shown)
        }
        (None, Some(name)) => broken(format!("StorageClass {name} does not exist")).with(shown),
        (None, None) => broken("it names no class, and none is the default").with(shown),
    })
}

fn driver(b: &mut Builder<'_>, claim: &PersistentVolumeClaim, provisioner: &str) {
    let snap = b.snap;
    let is_ebs = ebs::serves(provisioner);
    let name = if is_ebs { ebs::DRIVER } else { provisioner };
    let mut about = vec![ResourceRef::csi_driver(name)];
    if is_ebs {
        about.push(ResourceRef::aws("eks", "addon", ebs::ADDON));
        about.extend(ebs::controller(snap).ok().flatten().map(|w| w.reference()));
    }
    b.link("driver", about, Claims::All, || if is_ebs { ebs_driver(snap) } else { other_driver(snap, claim, name) });
    if !is_ebs || snap.platform == Platform::Other {
        return;
    }
    let role = b.verdict("ebs-csi-role", "the driver's role is there, trusted and allowed to make volumes");
    b.link("role", Vec::new(), Claims::Check(&["ebs-csi-role", "pod-identity-injection"]), || role);
    let provider = b.verdict("oidc-provider-missing", "the cluster's OIDC issuer is known to IAM");
    b.link("provider", Vec::new(), Claims::Check(&["oidc-provider-missing"]), || provider);
}

fn ebs_driver(snap: &Snapshot) -> Fetched<Seen> {
    if ebs::is_auto_mode(snap) && ebs::controller(snap)?.is_none() {
        return Ok(idle("EKS Auto Mode has a driver of its own, for other classes"));
    }
    if ebs::is_missing(snap)? {
        return Ok(broken(format!("nothing serves {}: no CSIDriver, no controller, no EKS add-on", ebs::DRIVER)));
    }
    let Some(controller) = ebs::controller(snap)? else {
        return Ok(match ebs::addon(snap) {
            Some(_) => right("the EKS add-on is there; its controller runs out of sight"),
            None => untold("a CSIDriver is registered; no controller was seen"),
        });
    };
    let text = format!(
        "{} {}, {} of {} ready",
        controller.kind,
        controller.metadata.name,
        controller.ready(),
        super::pod::pods(controller.desired())
    );
    let shown = shown::object(&controller.kind.to_ascii_lowercase(), &controller.metadata);
    Ok(if controller.ready() > 0 { right(text) } else { broken(text) }.with(shown))
}

fn other_driver(snap: &Snapshot, claim: &PersistentVolumeClaim, name: &str) -> Fetched<Seen> {
    // Provisioners from before CSI have no such object.
    if !name.contains(".csi.") && snap.csi_drivers.named(name)?.is_none() {
        return Ok(untold(format!("{name} is no CSI driver; whether it runs was not looked at")));
    }
    Ok(match snap.csi_drivers.named(name)? {
        Some(_) => right(format!("{name} is registered (CSIDriver); its controller was not looked at")),
        None if claim.status.phase == "Bound" => {
            untold(format!("there is no CSIDriver {name}, and yet there is a volume"))
        }
        None => broken(format!("there is no CSIDriver {name}: nothing makes the volume")),
    })
}

fn volume(snap: &Snapshot, claim: &PersistentVolumeClaim, class: Option<&StorageClass>) -> Fetched<Seen> {
    let shown = shown::described("pvc", &claim.metadata);
    let age = || format!(", for {}", super::words::duration(snap.age_seconds(&claim.metadata)));
    Ok(match claim.status.phase.as_str() {
        "Bound" => {
            let volume = claim.spec.volume_name.as_deref().unwrap_or("a volume");
            let size = claim.status.capacity.get("storage").map(|s| format!(" ({s})")).unwrap_or_default();
            right(format!("bound to {volume}{size}")).with(shown::object("pvc", &claim.metadata))
        }
        "Lost" => broken("its volume does not exist any more").with(shown),
        _ => {
            let waits = class.is_some_and(StorageClass::waits_for_consumer) && !claims::is_asked_for(snap, claim);
            let said = claims::provisioning_error(snap, claim).map(|e| shorten(&e.message, QUOTED));
            match said {
                Some(said) => broken(format!("Pending{}: {said}", age())).with(shown),
                None if waits && !is_used(snap, claim) => idle("it waits for a pod that uses it").with(shown),
                None => broken(format!("Pending{}", age())).with(shown),
            }
        }
    })
}

/// A pod wants it.
fn is_used(snap: &Snapshot, claim: &PersistentVolumeClaim) -> bool {
    let meta = &claim.metadata;
    let pods = snap.pods.items().unwrap_or_default().iter().filter(|p| p.metadata.namespace == meta.namespace);
    let mut users = pods.filter(|p| p.claims().any(|c| c == meta.name));
    users.next().is_some()
}

//! `why`: the chain of one thing, link by link, over the facts, the domain and the report of a run. Pure.

mod alert;
mod build;
mod claim;
mod find;
mod grafana;
mod muting;
mod node;
mod pod;
mod receiver;
mod service;
mod shown;
mod target;
mod url;
mod words;
mod workload;

pub use find::{Kind, Unclear, kinds, namespace_of};

use build::Builder;
use find::Thing;

use crate::domain::grafana::dashboards::text_of;
use crate::model::{Chain, Report};
use crate::pages::{self, Invocation};
use crate::snapshot::Snapshot;
use crate::text::redact::mask;

/// The chain of the thing that the words mean.
///
/// # Errors
/// Nothing, or more than one thing, is meant.
pub fn chain(
    snap: &Snapshot,
    report: &Report,
    words: &[String],
    namespace: Option<&str>,
    invocation: &Invocation,
) -> Result<Chain, Box<Unclear>> {
    let thing = find::find(snap, words, namespace).map_err(|unclear| Box::new(redacted(*unclear)))?;
    let mut builder = Builder::new(snap, report);
    if build_chain(&mut builder, &thing).is_none() {
        let Thing { kind, name, .. } = thing;
        return Err(Box::new(redacted(Unclear {
            asked: name,
            kind: kind.word(),
            several: false,
            offered: Vec::new(),
            more: 0,
            unseen: Vec::new(),
        })));
    }
    let mut chain = builder.finish(mask(&thing.what()));
    for evidence in chain.links.iter_mut().filter_map(|l| l.evidence.as_mut()) {
        // A template that fails is a bug of ours; the link is worth more than its command.
        let command = pages::command(evidence.reproduce_template, &evidence.params).unwrap_or_default();
        evidence.reproduce = pages::in_context(&command, invocation);
    }
    Ok(chain)
}

/// Everything that has a chain, as it can be asked for, in order.
pub fn all(snap: &Snapshot) -> Vec<String> {
    find::everything(snap).iter().map(|thing| mask(&thing.what())).collect()
}

fn redacted(unclear: Unclear) -> Unclear {
    Unclear {
        asked: mask(&unclear.asked),
        offered: unclear.offered.iter().map(|o| mask(o)).collect(),
        unseen: unclear.unseen.iter().map(|u| mask(u)).collect(),
        ..unclear
    }
}

/// `None` where the thing cannot be looked at.
fn build_chain(b: &mut Builder<'_>, thing: &Thing) -> Option<()> {
    let snap = b.snap;
    let (namespace, name) = (thing.namespace.as_str(), thing.name.as_str());
    match thing.kind {
        Kind::Alert => alert::chain(b, name),
        Kind::Target => target::chain(b, name),
        Kind::Receiver => receiver::chain(b, name),
        Kind::Url => return url::chain(b, name),
        Kind::Pod => match snap.pods.find(namespace, name) {
            Ok(Some(found)) => pod::chain(b, found),
            Ok(None) => pod::missing(b, set_of(snap, namespace, name)?),
            Err(gap) => pod::unseen(b, namespace, name, gap),
        },
        Kind::Service => service::chain(b, snap.services.find(namespace, name).ok()??),
        Kind::Claim => claim::chain(b, snap.persistent_volume_claims.find(namespace, name).ok()??),
        Kind::Node => node::chain(b, snap.nodes.named(name).ok()??),
        Kind::Deployment => workload::chain(b, workload(snap, "Deployment", namespace, name)?),
        Kind::StatefulSet => workload::chain(b, workload(snap, "StatefulSet", namespace, name)?),
        Kind::DaemonSet => workload::chain(b, workload(snap, "DaemonSet", namespace, name)?),
        Kind::ServiceMonitor | Kind::PodMonitor => {
            let kind = if thing.kind == Kind::PodMonitor { "PodMonitor" } else { "ServiceMonitor" };
            let all = snap.monitors.items().unwrap_or_default();
            let is_it = |m: &&crate::snapshot::kubernetes::Monitor| {
                m.kind == kind && m.metadata.namespace == namespace && m.metadata.name == name
            };
            target::monitor::chain(b, all.iter().find(is_it)?);
        }
        Kind::Panel => {
            let all = grafana::dashboards(snap);
            let panels = all.iter().flat_map(|d| d.panels().into_iter().map(move |p| (d, p)));
            let mut own = panels.filter(|(d, p)| find::panel_name(&d.title, &text_of(p, "title")) == name);
            let (dashboard, panel) = own.next()?;
            grafana::panel(b, dashboard, panel);
        }
        Kind::Datasource => {
            let all = grafana::all_datasources(snap);
            grafana::datasource(b, all.iter().find(|d| d.instance.namespace() == namespace && d.name == name)?);
        }
    }
    Some(())
}

fn workload<'a>(
    snap: &'a Snapshot,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Option<&'a crate::snapshot::kubernetes::Workload> {
    let reference = crate::model::ResourceRef::workload(kind, namespace, name);
    crate::domain::kubernetes::owner::workload(snap, &reference)
}

/// The StatefulSet that wants a pod of this name.
fn set_of<'a>(snap: &'a Snapshot, namespace: &str, pod: &str) -> Option<&'a crate::snapshot::kubernetes::Workload> {
    let (set, _) = pod.rsplit_once('-')?;
    workload(snap, "StatefulSet", namespace, set)
}
